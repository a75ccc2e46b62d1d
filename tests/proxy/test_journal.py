import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.session import Session
from vpn.proxy.journal import MOST_WAITING, RING, WRITTEN, Journal, Recorder, prepare

SMALL = 4096


@pytest.fixture
def journal():
    fd = os.memfd_create("journal")
    prepare(fd, SMALL)
    made = Journal(fd)
    os.close(fd)
    return made


def session(number, host="example.com"):
    return Session(number, "main", "192.0.2.1", 4711, 1.5, user="alice", host=host, port=443)


def test_what_is_written_is_read_once(journal):
    recorder = Recorder(journal)
    recorder.record(session(1))
    recorder.record(session(2))
    assert journal.read(recorder.settle()) == [session(1), session(2)]
    assert journal.read(journal.written) == []


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), max_size=60))
def test_nothing_is_lost_or_twice_however_long_and_whenever_it_is_taken(steps):
    fd = os.memfd_create("journal")
    prepare(fd, SMALL)
    journal = Journal(fd)
    os.close(fd)
    recorder = Recorder(journal)
    written, read = [], []
    for number, (length, taken) in enumerate(steps, 1):
        written.append(session(number, "x" * length))
        recorder.record(written[-1])
        if taken:
            read += journal.read(recorder.settle())
            journal.take(journal.read_to)
    for _ in written:
        read += journal.read(recorder.settle())
        journal.take(journal.read_to)
    assert read == written
    journal.close()


def test_another_process_goes_on_where_one_was_killed(journal):
    Recorder(journal).record(session(1))
    recorder = Recorder(journal)
    recorder.record(session(2))
    assert [each.id for each in journal.read(journal.written)] == [1, 2]


def test_what_there_is_no_room_for_waits_and_then_is_counted(journal):
    recorder = Recorder(journal)
    for number in range(1, MOST_WAITING + 100):
        recorder.record(session(number))
    read = journal.read(journal.written)
    assert journal.lost == MOST_WAITING + 99 - len(read) - MOST_WAITING
    while True:
        journal.take(journal.read_to)
        more = journal.read(recorder.settle())
        if not more:
            break
        read += more
    assert [each.id for each in read] == list(range(1, len(read) + 1))
    assert len(read) + journal.lost == MOST_WAITING + 99


def test_who_writes_much_says_so_once(journal):
    calls = []
    recorder = Recorder(journal, lambda: calls.append(1))
    for number in range(1, 20):
        recorder.record(session(number))
    assert calls == [1]
    journal.read(recorder.settle())
    journal.take(journal.read_to)
    for number in range(1, 20):
        recorder.record(session(number))
    assert calls == [1, 1]


def test_an_empty_file_and_one_cut_off_are_no_journals(journal):
    journal.check()
    journal.cells[RING] = 1
    with pytest.raises(ValueError, match="no journal"):
        journal.check()


def test_damage_is_told_and_what_was_before_is_kept(journal):
    recorder = Recorder(journal)
    recorder.record(session(1))
    journal.read(recorder.settle())
    intact = journal.read_to
    recorder.record(session(2))
    journal.ring[intact : intact + 4] = b"\xff\xff\x00\x00"
    with pytest.raises(ValueError, match="damaged"):
        journal.read(journal.cells[WRITTEN])
    assert journal.read_to == intact
