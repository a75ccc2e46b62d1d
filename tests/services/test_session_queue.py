import os

import pytest

from vpn.domain.session import Session
from vpn.proxy.journal import Journal, Recorder, prepare
from vpn.services.session_queue import SessionQueue
from vpn.services.session_spill import SessionSpill

RING = 64 * 1024


def session(number):
    return Session(number, "main", "192.0.2.1", 4711, 1.0, host="x" * 200, status="closed", ended=2.0)


class House:
    """A worker's journal, and the queue behind it."""

    def __init__(self, tmp_path, most=10, spill=1_000_000):
        fd = os.memfd_create("journal")
        prepare(fd, RING)
        self.journal = Journal(fd)
        os.close(fd)
        self.recorder = Recorder(self.journal)
        self.spill = SessionSpill(tmp_path, spill)
        self.spill.open()
        self.queue = SessionQueue(self.spill, most)
        self.number = 0

    def end(self, count):
        """So many sessions end."""
        for _ in range(count):
            self.number += 1
            self.recorder.record(session(self.number))
        self.queue.take(self.journal, self.journal.read(self.recorder.settle()))

    def store(self):
        """The numbers of the sessions that a store gets which works."""
        numbers, positions = [], {}
        while blocks := self.queue.next():
            for block in blocks:
                if positions.get(block.journal, 0) < block.end:
                    numbers += [each.id for each in block.sessions]
                    positions[block.journal] = block.end
            self.queue.done()
        return numbers


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_what_is_taken_is_stored_in_portions_and_the_journal_told(house):
    house.end(25)
    assert house.queue.waiting == 25
    first = house.queue.next()
    assert house.queue.next() is first, "until it is known what has become of it"
    assert [len(block.sessions) for block in first] == [10]
    house.queue.done()
    assert house.journal.taken == first[0].end
    assert house.store() == list(range(11, 26))
    assert (house.journal.taken, house.queue.waiting) == (house.journal.written, 0)
    assert house.spill.sessions == 0


def test_a_journal_that_fills_up_is_emptied_to_disk(house):
    house.end(5)
    house.queue.next()  # which the store does not answer
    while not house.spill.sessions:
        house.end(20)
    assert house.journal.taken == house.journal.written
    house.end(3)
    assert house.queue.waiting == 5 + 3
    assert house.store() == list(range(1, house.number + 1))


def test_what_waits_on_disk_of_a_journal_goes_before_the_rest_of_it(house):
    while not house.spill.sessions:
        house.end(20)
    house.end(3)
    assert house.queue.next()[0].sessions[0].id == 1
    assert house.store() == list(range(1, house.number + 1))


def test_old_and_new_take_turns(tmp_path):
    old = House(tmp_path)
    while not old.spill.sessions:
        old.end(20)
    old.spill.close()
    new = House(tmp_path)
    new.number = 1000
    new.end(15)
    order = new.store()
    assert order[:30] == [*range(1, 11), *range(1001, 1011), *range(11, 21)]
    assert sorted(order) == [*range(1, old.number + 1), *range(1001, 1016)]


def test_what_an_earlier_daemon_stored_is_left_out(tmp_path):
    old = House(tmp_path)
    while not old.spill.sessions:
        old.end(20)
    old.spill.close()
    new = House(tmp_path)
    block = new.spill.first()
    new.queue.positions[block.journal] = block.ends[2]
    assert new.store() == list(range(4, old.number + 1))


def test_where_there_is_no_room_sessions_are_lost_and_counted(tmp_path):
    house = House(tmp_path, spill=0)
    house.end(5)
    house.queue.next()
    while not house.queue.lost:
        house.end(20)
    assert "spill_size" in house.queue.trouble
    assert house.journal.fullness == 0, "the worker goes on"
    stored = house.store()
    assert stored[:5] == [1, 2, 3, 4, 5]
    assert len(stored) + house.queue.lost == house.number


def test_what_cannot_be_stored_is_divided_to_the_single_session(house):
    house.end(5)
    parts = []
    while True:
        (block,) = house.queue.next()
        if not house.queue.divide():
            parts.append(block)
            house.queue.done()
            if not house.queue.waiting:
                break
    assert [[each.id for each in block.sessions] for block in parts] == [[1], [2], [3], [4], [5]]
    assert house.journal.taken == house.journal.written


def test_a_divided_block_of_the_spill_is_dropped_when_all_of_it_is_stored(house):
    while not house.spill.sessions:
        house.end(20)
    waiting = house.spill.sessions
    house.queue.next()
    assert house.queue.divide()
    house.queue.done()
    assert house.spill.sessions == waiting
    house.queue.next()
    house.queue.done()
    assert house.spill.sessions == waiting - 10
