"""Clients of Shadowsocks between their request and their tunnel."""

import socket
import struct

import pytest

from tests.support.dns import name_server
from tests.support.servers import Busy, echo, tcp_server
from tests.support.shadowsocks import client, receive, shadowsocks_plane, users
from vpn.domain.acl import CompiledPolicy
from vpn.domain.egress import Egress, Resolving
from vpn.domain.inbound import Timeouts
from vpn.domain.policy_document import parse_policy
from vpn.proxy.control import Snapshot
from vpn.proxy.passage import Passage

METHOD = "aes-256-gcm"
HASTY = Timeouts(handshake=5, connect=0.1, idle=30)
BLOCKED = {"action": "block", "destinations": ["127.0.0.0/8"]}


@pytest.fixture
def full_port():
    busy = Busy()
    yield busy.port
    busy.close()


@pytest.fixture
def plane():
    with shadowsocks_plane(METHOD) as running:
        yield running


def request(plane, host, port, payload=b"hello"):
    """A client that has said where to."""
    sealed, sock = client(METHOD), plane.connect()
    sock.sendall(sealed.request(host, port, payload))
    return sock, sealed


def on_their_way(plane):
    return [each for each in plane.core.connections if isinstance(each, Passage)]


def rules(plane, *rules):
    policy = CompiledPolicy(parse_policy({"default": "allow", "users": {"alice": {"rules": list(rules)}}}))
    plane.do(lambda: plane.core.set_policy(policy) or True)


def test_a_destination_that_does_not_answer_is_given_up(full_port):
    with shadowsocks_plane(METHOD, timeouts=HASTY) as plane:
        sock, _ = request(plane, "127.0.0.1", full_port)
        with sock:
            assert sock.recv(1) == b""
        session = plane.ended()[0]
        assert (session.status, session.reason, session.user) == ("failed", "timed_out", "alice")
        assert plane.do(lambda: len(plane.core.connections)) == 0


def test_a_client_that_goes_while_we_connect_is_forgotten(plane, full_port):
    sock, _ = request(plane, "127.0.0.1", full_port)
    plane.until(lambda: bool(on_their_way(plane)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    session = plane.ended()[0]
    assert (session.status, session.reason) == ("failed", "client_gone")
    assert plane.core.counters.handshake_errors == {"client_gone": 1}


def test_who_may_no_longer_come_is_cut_while_we_connect(plane, full_port):
    sock, _ = request(plane, "127.0.0.1", full_port)
    with sock:
        plane.until(lambda: bool(on_their_way(plane)))
        plane.do(lambda: plane.core.apply(Snapshot(2, users("bob"), Egress(private_destinations=True))) or True)
        assert sock.recv(1) == b""
    session = plane.ended()[0]
    assert (session.status, session.reason) == ("closed", "user_removed")


def test_the_guard_keeps_clients_from_private_addresses(plane, echo_port):
    plane.do(lambda: plane.core.apply(Snapshot(2, users("alice"), Egress())) or True)
    sock, _ = request(plane, "127.0.0.1", echo_port)
    with sock:
        assert sock.recv(1) == b""
    session = plane.ended()[0]
    assert (session.status, session.reason) == ("rejected_by_acl", "loopback_destination")
    assert plane.core.counters.blocked_by_guard == 1


def test_what_the_client_says_meanwhile_is_not_lost():
    with name_server() as dns, shadowsocks_plane(METHOD) as plane, tcp_server(echo) as port:
        slowly(plane, dns)
        sock, sealed = request(plane, "slow.test", port)
        with sock:
            plane.until(lambda: bool(dns.asked))
            sock.sendall(sealed.send(b" world"))
            plane.until(lambda: any(each._unread for each in on_their_way(plane)))
            dns.may_answer.set()
            assert receive(sock, sealed, 11) == b"hello world"


def test_rules_that_come_meanwhile_count_for_the_address_that_is_found():
    with name_server() as dns, shadowsocks_plane(METHOD) as plane, tcp_server(echo) as port:
        slowly(plane, dns)
        sock, _ = request(plane, "slow.test", port)
        with sock:
            plane.until(lambda: bool(dns.asked))
            rules(plane, BLOCKED)
            dns.may_answer.set()
            assert sock.recv(1) == b""
        session = plane.ended()[0]
        assert (session.status, session.reason) == ("rejected_by_acl", "policy_changed")
        assert (session.rule, session.address) == ("users.alice.rules.0", "127.0.0.1")


def test_the_steps_of_a_session_that_is_traced(plane, echo_port):
    plane.core.trace_ratio = 1.0
    sock, sealed = request(plane, "127.0.0.1", echo_port)
    with sock:
        assert receive(sock, sealed, 5) == b"hello"
    steps = [phase.name for phase in plane.ended()[0].phases]
    assert steps == ["accepted", "handshake", "ruled", "connected", "first_byte", "ended"]


def slowly(plane, dns):
    """A name that is known, but not yet."""
    dns.records["slow.test"] = ["127.0.0.1"]
    dns.may_answer.clear()
    egress = Egress(private_destinations=True, resolving=Resolving(servers=(f"127.0.0.1:{dns.port}",)))
    plane.do(lambda: plane.core.apply(Snapshot(2, users("alice"), egress)) or True)
