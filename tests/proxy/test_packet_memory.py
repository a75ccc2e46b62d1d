import os

import pytest

from vpn.protocols.packet_window import Window
from vpn.proxy import packet_memory
from vpn.proxy.packet_memory import Marks, Past, Recent, Salts


def test_a_salt_is_fresh_once_and_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(packet_memory, "_GENERATION", 100)
    recent, salts = Recent(), [os.urandom(16) for _ in range(1000)]
    for number, salt in enumerate(salts):
        assert recent.fresh(salt)
        assert not recent.fresh(salt)
        for before in salts[max(0, number - 99) : number]:
            assert not recent.fresh(before)
        assert len(recent._new) + len(recent._old) <= 200
    assert recent.fresh(salts[0]), "it is too long ago"


@pytest.mark.parametrize("size", [0, 16, 24, 32])
def test_salts_are_of_their_size_and_never_the_same(size):
    salts = Salts(size)
    drawn = [salts.draw() for _ in range(1000)]
    assert {len(each) for each in drawn} == {size}
    assert len(set(drawn)) == (1000 if size else 1)


@pytest.mark.parametrize("size", [16, 32])
def test_salts_of_ours_are_known_to_us_and_look_like_all_others(size):
    marks = Marks(b"k" * 16)
    salts = Salts(size, marks)
    drawn = [salts.draw() for _ in range(1000)]
    assert {len(each) for each in drawn} == {size}
    assert len(set(drawn)) == 1000
    assert all(map(marks.known, drawn))
    assert not any(map(Marks(b"l" * 16).known, drawn))
    assert not any(marks.known(os.urandom(size)) for _ in range(1000))
    assert len({each[at] for each in drawn for at in range(12, 16)}) > 200, "no zeros are to be seen"


def test_a_window_is_kept_for_a_time():
    past, window = Past(), Window()
    assert window.accept(3)
    past.keep("a", window, 100.0)
    assert past.recall("a") is window
    assert past.recall("b").accept(3)
    past.keep("b", Window(), 160.0)
    assert past.recall("a") is window
    past.keep("c", Window(), 161.5)
    assert past.recall("a").accept(3), "what was sent then would be too late now"


def test_windows_are_bounded(monkeypatch):
    monkeypatch.setattr(packet_memory, "_MOST_PAST", 10)
    past = Past()
    for number in range(100):
        past.keep(number, Window(), 0.0)
    assert list(past._windows) == list(range(90, 100))
