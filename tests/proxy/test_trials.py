"""Keys tried, with a poller that the test turns."""

import pytest

from vpn.domain.shadowsocks import METHODS
from vpn.proxy import trials as module
from vpn.proxy.keyring import UserKey
from vpn.proxy.poller import Poller
from vpn.proxy.trials import SLICE, Trials

METHOD = METHODS["aes-128-gcm"]
HERE, THERE = ("192.0.2.1", 1), ("192.0.2.2", 1)


class Tried:
    """So many users, each of whom opens what is called after the user's number."""

    def __init__(self, users):
        self.errors = []
        self.poller = Poller(self.errors.append)
        self.users = [UserKey(METHOD, str(number), "x") for number in range(users)]
        self.count = 0
        self.found = []
        self.first = []
        self.trials = Trials(self.poller, lambda host: [*self.first, *self.users], self.open, self.note)

    def open(self, key, packet):
        self.count += 1
        return b"held" if packet == key.user.encode() else None

    def note(self, key, held, packet, source, local):
        assert local == []
        self.found.append((key and key.user, packet, source))

    def turn(self):
        """One turn of the loop; how many keys were tried in it."""
        before = self.count
        self.poller.turn(0)
        assert self.errors == []
        return self.count - before


def test_few_keys_are_tried_at_once():
    tried = Tried(SLICE)
    assert tried.trials.submit(b"7", HERE, [])
    assert tried.trials.submit(b"none", HERE, [])
    assert (tried.count, tried.found) == (SLICE, [("7", b"7", HERE)])
    assert tried.turn() == 8
    assert tried.found == [("7", b"7", HERE), (None, b"none", HERE)]


def test_many_keys_are_tried_slice_by_slice():
    tried = Tried(10 * SLICE)
    tried.trials.submit(str(10 * SLICE - 1).encode(), HERE, [])
    assert tried.count == SLICE
    turns = [tried.turn() for _ in range(9)]
    assert turns == [SLICE] * 9
    assert tried.found == [("639", b"639", HERE)]
    assert tried.turn() == 0


def test_likely_keys_come_first():
    tried = Tried(10 * SLICE)
    tried.first = tried.users[-1:]
    tried.trials.submit(b"639", HERE, [])
    assert (tried.count, tried.found) == (1, [("639", b"639", HERE)])


def test_without_keys_nobody_is_found():
    tried = Tried(0)
    for _ in range(5):
        tried.trials.submit(b"x", HERE, [])
    assert tried.found == [(None, b"x", HERE)] * 5


def test_so_many_keys_are_tried_in_a_second(monkeypatch):
    monkeypatch.setattr(module, "BURST", 3 * SLICE)
    monkeypatch.setattr(module, "RATE", 0)
    tried = Tried(2 * SLICE)
    for number in range(4):
        assert tried.trials.submit(b"none", (f"192.0.2.{number}", 1), [])
    for _ in range(20):
        tried.turn()
    assert tried.count == 3 * SLICE
    assert len(tried.found) == 1
    monkeypatch.setattr(module, "RATE", 1 << 40)
    for _ in range(1000):
        if len(tried.found) == 4:
            break
        tried.poller.turn(0.1)
    assert tried.count == 8 * SLICE


@pytest.mark.parametrize("bound", ["_MOST_WAITING", "_MOST_BYTES", "_MOST_THERE"])
def test_what_waits_is_bounded(monkeypatch, bound):
    monkeypatch.setattr(module, bound, 5)
    tried = Tried(10 * SLICE)
    taken = [tried.trials.submit(b"x", HERE, []) for _ in range(8)]
    assert taken == [True] * 5 + [False] * 3
    assert tried.trials.submit(b"x", THERE, []) is (bound == "_MOST_THERE")
    for _ in range(100):
        tried.turn()
    assert tried.trials.submit(b"x", HERE, []), "there is room again"
    assert tried.found[:5] == [(None, b"x", HERE)] * 5


def test_what_waits_can_be_forgotten():
    tried = Tried(10 * SLICE)
    tried.trials.submit(b"x", HERE, [])
    tried.trials.close()
    for _ in range(20):
        tried.turn()
    assert (tried.count, tried.found) == (SLICE, [])
    assert tried.trials.submit(b"3", HERE, [])
    assert tried.found == [("3", b"3", HERE)]
