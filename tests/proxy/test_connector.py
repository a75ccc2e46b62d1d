import socket
import threading

import pytest

from tests.support.plane import lone_accounts, lone_recorder, read_all, snapshot
from tests.support.servers import echo, tcp_server, unused_port
from vpn.domain.address import pack
from vpn.protocols.events import Refusal
from vpn.proxy.connector import Connector, Reached, Unreached
from vpn.proxy.core import Core
from vpn.proxy.poller import Poller


class Names:
    """A resolver that knows a few names; those of `slow` are answered when the test says so."""

    def __init__(self):
        self.known = {}
        self.waiting = []

    def configure(self, resolving):
        pass

    def resolve(self, name, done):
        if name in self.known:
            done([pack(address) for address in self.known[name]])
        else:
            self.waiting.append(done)

    def close(self):
        pass


@pytest.fixture
def core():
    errors = []
    core = Core(Poller(errors.append), pytest.fail, lone_accounts(), lone_recorder()[1])
    core.resolver.close()
    core.resolver = Names()
    core.apply(snapshot())
    yield core
    assert errors == []


def reach(core, host, port):
    outcomes = []
    Connector(core, host, port, outcomes.append, core.guard).start()
    for _ in range(500):
        if outcomes:
            break
        core.poller.turn(0.05)
    (outcome,) = outcomes
    if isinstance(outcome, Reached):
        core.poller.close(outcome.stream)
        core.poller.turn(0)
    return outcome


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_connected_to(core, host):
    with tcp_server(echo, host) as port:
        outcome = reach(core, host, port)
        assert isinstance(outcome, Reached)
        assert outcome.address == host


def test_a_server_that_speaks_first_is_not_missed(core):
    """Its greeting can be there in the very event that says that the connection stands."""
    greeted = threading.Event()

    def greet(connection):
        connection.sendall(b"hello")
        greeted.set()
        read_all(connection)

    with tcp_server(greet) as port:
        outcomes = []
        Connector(core, "127.0.0.1", port, outcomes.append, core.guard).start()
        assert greeted.wait(5)
        core.poller.turn(1)
        (outcome,) = outcomes
        assert outcome.unread
        assert outcome.stream.recv(10) == b"hello"
        core.poller.close(outcome.stream)
        core.poller.turn(0)


def test_a_name_is_resolved(core):
    core.resolver.known["a.test"] = ["127.0.0.1"]
    with tcp_server(echo) as port:
        assert reach(core, "a.test", port).address == "127.0.0.1"


def test_the_next_address_is_tried_when_one_refuses(core):
    core.resolver.known["a.test"] = ["::1", "127.0.0.2", "127.0.0.1"]
    with tcp_server(echo) as port:
        assert reach(core, "a.test", port).address == "127.0.0.1"


def test_the_next_address_is_tried_when_one_is_slow(core, full_listener):
    core.resolver.known["a.test"] = ["127.0.0.3", "127.0.0.1"]
    with tcp_server(echo) as port:
        listener = full_listener("127.0.0.3", port)
        assert reach(core, "a.test", port).address == "127.0.0.1"
        listener.close()


@pytest.fixture
def full_listener():
    """Makes a listener whose queue is full, so that connecting to it takes for ever."""
    opened = []

    def make(host, port):
        listener = socket.socket()
        opened.append(listener)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((host, port))
            opened.append(client)
        return listener

    yield make
    for sock in opened:
        sock.close()


def test_refused(core):
    assert reach(core, "127.0.0.1", unused_port()) == Unreached(Refusal.CONNECTION_REFUSED, "")


def test_a_name_without_addresses(core):
    core.resolver.known["none.test"] = []
    assert reach(core, "none.test", 1) == Unreached(Refusal.NAME_NOT_FOUND, "")


def test_unreachable_networks(core):
    outcome = reach(core, "255.255.255.255", 9)
    assert isinstance(outcome, Unreached)
    assert outcome.why in (Refusal.NETWORK_UNREACHABLE, Refusal.FAILED)


@pytest.mark.parametrize(
    ("host", "detail"),
    [
        ("127.0.0.1", "loopback_destination"),
        ("::1", "loopback_destination"),
        ("::ffff:127.0.0.1", "loopback_destination"),
        ("10.0.0.1", "private_destination"),
        ("169.254.169.254", "link_local_destination"),
        ("224.0.0.1", "multicast_destination"),
        ("0.0.0.0", "unspecified_destination"),
        ("inside.test", "private_destination"),
    ],
)
def test_the_guard_refuses_addresses_and_names_that_lead_to_them(core, host, detail):
    core.apply(snapshot(2, private_destinations=False))
    core.resolver.known["inside.test"] = ["192.168.1.1", "127.0.0.1"]
    assert reach(core, host, 80) == Unreached(Refusal.NOT_ALLOWED, detail)


def test_the_guard_lets_no_forbidden_address_of_a_name_be_tried(core, monkeypatch):
    """A name with a public and a private address is reached by the public one only."""
    core.apply(snapshot(2, private_destinations=False))
    core.resolver.known["mixed.test"] = ["127.0.0.1", "203.0.112.1"]
    tried = []
    monkeypatch.setattr(Connector, "_attempt", lambda self, address: tried.append(address) or False)
    reach(core, "mixed.test", 80)
    assert tried == ["203.0.112.1"]


def test_families_take_turns_and_none_is_left_out(core, monkeypatch):
    core.resolver.known["a.test"] = [f"2001:db8::{number}" for number in range(9)] + ["192.0.2.1"]
    tried = []
    monkeypatch.setattr(Connector, "_attempt", lambda self, address: tried.append(address) or False)
    reach(core, "a.test", 80)
    assert tried[:3] == ["2001:db8::", "192.0.2.1", "2001:db8::1"]


def test_of_several_failures_the_most_telling_is_reported(core):
    core.resolver.known["a.test"] = ["127.0.0.1", "255.255.255.255"]
    assert reach(core, "a.test", unused_port()) == Unreached(Refusal.CONNECTION_REFUSED, "")


def test_cancelled_means_silent(core):
    connector = Connector(core, "slow.test", 80, pytest.fail, core.guard)
    connector.start()
    connector.cancel()
    core.resolver.waiting[0]([pack("127.0.0.1")])
    core.poller.turn(0)
