import os

import pytest

from vpn.domain.session import Session
from vpn.proxy.control import Report
from vpn.proxy.journal import Journal, Recorder, prepare
from vpn.proxy.journal_reader import JournalReader


class House:
    """A worker's journal, who reads it, and who hears of it."""

    def __init__(self, ring=4096):
        fd = os.memfd_create("journal")
        prepare(fd, ring)
        self.journal = Journal(fd)
        os.close(fd)
        self.recorder = Recorder(self.journal)
        self.heard = []
        self.live = []
        self.lines = []
        self.takes = True
        self.reader = JournalReader(self.journal, 3, self, self)

    def hear(self, worker, report, ended, journal):
        assert worker == 3
        self.heard += ended
        if self.takes:
            journal.take(journal.read_to)

    def orphans(self, worker):
        live, self.live = self.live, []
        return live

    def log(self, level, event, **fields):
        self.lines.append(fields)

    def begin(self, number):
        self.recorder.begin(number)
        return Session(number, "main", "192.0.2.1", 4711, 1.0)

    def end(self, number):
        session = self.begin(number)
        session.end("closed", "eof", 2.0)
        self.recorder.record(session)


@pytest.fixture
def house():
    return House()


def test_what_ended_is_heard_up_to_where_the_worker_said(house):
    house.end(1)
    said = house.recorder.settle()
    house.end(2)
    house.reader.hear(Report(0, 0, 0, 0), said)
    assert [each.id for each in house.heard] == [1]


def test_when_the_worker_is_gone_its_last_sessions_are_heard_and_the_live_ones_closed(house):
    house.end(1)
    house.live = [house.begin(2)]
    house.reader.write_off()
    assert [(each.id, each.reason) for each in house.heard] == [(1, "eof"), (2, "worker_died")]
    assert (house.reader.unaccounted, house.lines) == (0, [])


def test_those_are_counted_of_whom_nobody_will_hear(house):
    house.end(1)
    house.begin(2)
    house.begin(3)
    house.reader.write_off()
    assert (house.reader.unaccounted, house.lines) == (2, [{"worker": 3, "sessions": 2}])
    house.end(4)
    house.begin(5)
    house.reader.write_off()
    assert house.reader.unaccounted == 3
    assert house.lines[1:] == [{"worker": 3, "sessions": 1}]


def test_more_live_sessions_than_there_is_room_for_are_closed_all_the_same(house):
    house.live = [house.begin(number) for number in range(1, 501)]
    house.reader.write_off()
    assert [each.id for each in house.heard] == list(range(1, 501))


def test_if_nobody_takes_them_they_are_counted_as_lost(house):
    house.takes = False
    house.live = [house.begin(number) for number in range(1, 501)]
    house.reader.write_off()
    assert house.journal.lost == 500 - len(house.heard) > 0
    assert house.reader.unaccounted == 0
    assert house.lines == [{"worker": 3, "sessions": house.journal.lost}]


def test_what_a_worker_had_no_room_for_is_told_once(house, monkeypatch):
    monkeypatch.setattr("vpn.proxy.journal.MOST_WAITING", 5)
    for number in range(1, 101):
        house.end(number)
    lost = house.journal.lost
    for _ in range(2):
        house.reader.hear(Report(0, 0, 0, 0), house.recorder.settle())
    assert house.lines == [{"worker": 3, "sessions": lost}]
    assert len(house.heard) + house.recorder.waiting + lost == 100
    assert house.reader.unaccounted == 0


def test_behind_damage_it_goes_on(house):
    for number in (1, 2, 3):
        house.end(number)
    at = len(house.journal.ring[: house.journal.written]) // 3
    house.journal.ring[at : at + 4] = b"\xff\xff\x00\x00"
    house.reader.hear(Report(0, 0, 0, 0), house.recorder.settle())
    assert [each.id for each in house.heard] == [1]
    assert house.lines == [{"worker": 3, "bytes": 2 * at}]
    house.end(4)
    house.reader.write_off()
    assert [each.id for each in house.heard] == [1, 4]
    assert house.reader.unaccounted == 2
