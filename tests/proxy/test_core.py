import pytest

from tests.support.plane import lone_accounts, snapshot
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.domain.session import Session
from vpn.proxy.client import Client
from vpn.proxy.core import SWEEP, Core
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
        self.session = Session(core.next_session_id(), "main", "192.0.2.1", 1, 0.0, user=user)
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
    core = Core(poller, pytest.fail, lone_accounts())
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
    assert report.ended == [first.session]
    again = core.report()
    assert (again.bytes_sent, again.ended) == (10, [])


def test_who_is_too_slow_expires(core):
    slow = Connection(core, "a", deadline=core.poller.now)
    patient = Connection(core, "b")
    core.poller.turn(SWEEP + 1)
    core.poller.turn(0)
    assert (slow.ending, patient.ending) == ("expired", "")


def test_session_ids_differ_between_workers(core):
    other = Core(Poller(pytest.fail), pytest.fail, lone_accounts())
    assert len({each.next_session_id() for each in (core, core, other, other)}) == 4
    other.resolver.close()
