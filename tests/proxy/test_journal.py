import os
import resource

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


@pytest.mark.parametrize("rewind", [SMALL, 300])
@given(steps=st.lists(st.tuples(st.integers(0, 900), st.booleans()), max_size=60))
def test_nothing_is_lost_or_twice_however_long_and_whenever_it_is_taken(rewind, steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vpn.proxy.journal._REWIND", rewind)
        go_through(steps)


def go_through(steps):
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
        journal.check()
    for _ in written:
        read += journal.read(recorder.settle())
        journal.take(journal.read_to)
    assert read == written
    journal.close()


def test_who_begins_anew_in_an_empty_ring_has_all_of_it():
    fd = os.memfd_create("journal")
    prepare(fd)
    journal = Journal(fd)
    hurried = []
    recorder = Recorder(journal, lambda: hurried.append(recorder.settle()))
    size, number, place = len(journal.ring), 0, -1
    while place < journal.written % size:
        place = journal.written % size
        journal.read(recorder.settle())
        journal.take(journal.read_to)
        number += 1
        recorder.record(session(number, "x" * 1000))
    assert journal.fullness < 0.01, "what was skipped is not full"
    assert hurried == []
    room = 0
    while not recorder.waiting:
        room += 1
        recorder.record(session(number + room, "x" * 1000))
    assert room > size // 1200
    journal.check()
    assert [each.id for each in journal.read(journal.written)] == list(range(number, number + room))
    journal.close()
    os.close(fd)


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


def test_a_file_that_is_too_short_is_none():
    fd = os.memfd_create("journal")
    for size in (0, 7, 4096):
        os.ftruncate(fd, size)
        with pytest.raises(ValueError, match="no journal"):
            Journal(fd)
    os.close(fd)


def test_what_is_before_the_damage_is_read_with_where_it_ends(journal):
    recorder = Recorder(journal)
    for number in (1, 2, 3):
        recorder.record(session(number))
    assert [each.id for each in journal.read(journal.written)] == [1, 2, 3]
    ends = journal.ends
    assert ends[-1] == journal.written
    journal.read_to = 0
    journal.ring[ends[1] : ends[1] + 4] = b"\xff\xff\x00\x00"
    assert [each.id for each in journal.read(journal.written)] == [1, 2]
    assert (journal.ends, journal.read_to) == (ends[:2], ends[1])
    with pytest.raises(ValueError, match="damaged"):
        journal.read(journal.written)


def test_how_full_it_is_goes_by_what_was_taken_and_nothing_is_given_back(journal):
    recorder = Recorder(journal)
    assert journal.fullness == 0
    recorder.record(session(1))
    assert journal.fullness == journal.written / SMALL
    journal.take(journal.written)
    journal.take(0)
    assert journal.fullness == 0


def test_it_knows_how_many_have_begun_and_the_last_of_them():
    fd = os.memfd_create("journal")
    prepare(fd, SMALL, latest=5)
    journal = Journal(fd)
    os.close(fd)
    recorder = Recorder(journal)
    assert (recorder.latest, journal.begun) == (5, 0)
    recorder.begin(6)
    recorder.begin(9)
    assert (journal.latest, journal.begun, Recorder(journal).latest) == (9, 2, 9)


def test_what_waits_when_the_writer_ends_is_lost(journal):
    recorder = Recorder(journal)
    while not recorder.waiting:
        recorder.record(session(1))
    recorder.record(session(1))
    recorder.give_up()
    assert (journal.lost, recorder.waiting) == (2, 0)


@pytest.fixture
def crowded():
    """The file of a journal in which no more sessions find room, who writes it, and how many there are."""
    fd = os.memfd_create("journal")
    prepare(fd, SMALL)
    recorder = Recorder(Journal(fd))
    number = 0
    while recorder.waiting < 10:
        number += 1
        recorder.record(session(number))
    yield fd, recorder, number
    os.close(fd)


def test_whose_daemon_has_died_leaves_behind_what_waits(crowded):
    fd, recorder, number = crowded
    recorder.leave_behind()
    journal = Journal(fd)
    journal.check()
    assert journal.lost == 0
    ring = journal.read(journal.written)
    tail = journal.read_tail()
    assert [each.id for each in ring + tail] == list(range(1, number + 1))
    assert len(tail) == 10
    assert journal.written < journal.ends[0] < journal.ends[-1] == journal.read_to
    assert journal.read_tail() == []
    journal.read_to = journal.written + (journal.read_to - journal.written) // 10
    assert [each.id for each in journal.read_tail()] == [each.id for each in tail[1:]]


def test_of_a_tail_that_was_cut_off_what_is_whole_is_read(crowded):
    fd, recorder, _ = crowded
    recorder.leave_behind()
    os.ftruncate(fd, os.fstat(fd).st_size - 1)
    journal = Journal(fd)
    journal.check()
    assert len(journal.read_tail()) == 9


def test_where_there_is_no_space_for_a_tail_what_waits_is_lost(crowded):
    fd, recorder, _ = crowded
    size = os.fstat(fd).st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))  # Python ignores SIGXFSZ
    try:
        recorder.leave_behind()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal = Journal(fd)
    assert (journal.lost, journal.read_tail(), os.fstat(fd).st_size) == (10, [], size)


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
