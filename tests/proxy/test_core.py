import pytest

from tests.support.plane import lone_accounts, lone_recorder, snapshot
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.domain.session import Session
from vpn.proxy.client import Client
from vpn.proxy.control import Moved
from vpn.proxy.core import SWEEP, Core
from vpn.proxy.journal import Recorder
from vpn.proxy.poller import Poller

INBOUND = Inbound("main", "mixed", Endpoint("127.0.0.1", 1))


class Entry:
    number = 1
    inbound = INBOUND

    def give_place(self):
        pass


ENTRY = Entry()


class Connection:
    def __init__(self, core, user, deadline=1e9):
        self.core = core
        self.session = Session(core.next_session_id(1.8e9), "main", "192.0.2.1", 1, 0.0, user=user)
        self.client = Client(ENTRY, core.nobody)
        self.deadline = deadline
        self.ending = ""
        core.connections.add(self)

    def expire(self):
        self.cut("expired")

    def cut(self, reason):
        self.ending = reason
        self.core.end(self)


@pytest.fixture
def core():
    poller = Poller(pytest.fail)
    journal, recorder = lone_recorder()
    core = Core(poller, pytest.fail, lone_accounts(), recorder)
    core.journal = journal
    yield core
    core.resolver.close()


def test_a_snapshot_cuts_whom_it_forbids_and_nobody_else(core):
    users = {"alice": True, "bob": True, "carol": True}
    core.apply(snapshot(users=users))
    connections = {name: Connection(core, name) for name in ("Alice", "bob", "carol", "")}
    core.apply(snapshot(2, users={"alice": True, "bob": False}))
    assert {name: each.ending for name, each in connections.items()} == {
        "Alice": "",
        "bob": "user_disabled",
        "carol": "user_removed",
        "": "",
    }


def test_reports_count_live_and_ended_sessions(core):
    first, second = Connection(core, "a"), Connection(core, "b")
    first.session.bytes_sent = 10
    second.session.bytes_received = 5
    core.end(first)
    report = core.report()
    assert (report.opened, report.active) == (2, 1)
    assert (report.bytes_sent, report.bytes_received) == (10, 5)
    assert core.journal.read(report.journaled) == [first.session]
    again = core.report()
    assert (again.bytes_sent, again.journaled) == (10, report.journaled)


def test_of_a_live_session_only_what_is_new_is_reported(core):
    session = Connection(core, "a").session
    first = core.report()
    assert (first.live, first.moved) == ([session], [])
    still = core.report()
    assert (still.live, still.moved, still.active) == ([], [], 1)
    session.bytes_sent = 7
    assert core.report().moved == [Moved(session.id, 7, 0, 0, 0)]
    session.host, session.bytes_sent = "a.test", 9
    assert core.report().live == [session]
    session.bytes_received = 8
    answered = core.report()  # whole, since the destination has answered: how soon it did is known now
    assert (answered.live, answered.moved) == ([session], [])
    session.bytes_sent, session.bytes_received = 10, 11
    assert core.report().moved == [Moved(session.id, 10, 11, 0, 0)]


def test_who_has_not_asked_for_anything_is_no_session(core):
    Connection(core, "a").session.id = 0
    report = core.report()
    assert (report.active, report.live) == (0, [])


def test_where_an_end_was_lost_all_live_sessions_are_told_again(core, monkeypatch):
    monkeypatch.setattr("vpn.proxy.journal.MOST_WAITING", 3)
    session, gone = Connection(core, "a").session, Connection(core, "b")
    assert len(core.report().live) == 2
    core.end(gone)
    filler = Session(1, "main", "192.0.2.1", 1, 0.0, host="x" * 100_000)
    while not core.journal.lost:
        core.book(filler)
    report = core.report()
    assert not report.whole, "of those that wait the daemon will hear"
    while core.recorder.waiting:
        core.journal.take(core.journal.written)
        report = core.report()
    assert (report.whole, report.live) == (True, [session])
    again = core.report()
    assert (again.whole, again.live) == (False, [])


def test_identifiers_go_on_after_those_of_an_earlier_process(core):
    numbers = [core.next_session_id(moment) for moment in (1.8e9, 1.7e9)]
    assert core.journal.latest == numbers[-1] > numbers[0]
    assert core.journal.begun == 2
    again = Core(core.poller, pytest.fail, lone_accounts(), Recorder(core.journal))
    assert again.next_session_id(1.6e9) > numbers[-1]
    again.resolver.close()


def test_a_worker_that_is_left_alone_writes_down_what_is_live(core):
    live, refused = Connection(core, "a").session, Connection(core, "b").session
    refused.end("failed", "bad_version", 2.0)
    core.book(refused)
    core.abandon("daemon_died")
    sessions = core.journal.read(core.journal.written)
    assert [(each.id, each.status, each.reason) for each in sessions] == [
        (refused.id, "failed", "bad_version"),
        (live.id, "closed", "daemon_died"),
    ]


def test_who_is_too_slow_expires(core):
    slow = Connection(core, "a", deadline=core.poller.now)
    patient = Connection(core, "b")
    core.poller.turn(SWEEP + 1)
    core.poller.turn(0)
    assert (slow.ending, patient.ending) == ("expired", "")
