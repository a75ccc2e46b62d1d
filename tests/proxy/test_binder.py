"""BIND, over real sockets."""

import os
import resource
import socket
import struct

import pytest

from tests.support.plane import login, read_all, read_exactly, snapshot
from tests.support.web import standstill
from vpn.domain.acl import CompiledPolicy
from vpn.domain.address import Endpoint
from vpn.domain.egress import Choice, Route, Upstream
from vpn.domain.inbound import Timeouts
from vpn.domain.policy_document import parse_policy

RESET = struct.pack("ii", 1, 0)


def ask(client, host="127.0.0.1", port=0):
    login(client)
    name = host.encode()
    client.sendall(b"\x05\x02\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))


def listening(client, host="127.0.0.1"):
    """Where the peer is expected."""
    ask(client, host)
    reply = read_exactly(client, 10)
    assert reply[:4] == b"\x05\x00\x00\x01", reply
    return socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big")


def come(address, source="127.0.0.1"):
    return socket.create_connection(address, timeout=5, source_address=(source, 0))


def nothing_is_left(plane):
    plane.until(lambda: not plane.core.connections)
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))
    assert [plane.counters.total(column) for column in (0, 1)] == [0, 0]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_the_peer_comes_and_bytes_go_both_ways(plane, host):
    with plane.connect() as client, come(listening(client, host)) as peer:
        peer.sendall(b"220 hello")
        reply = read_exactly(client, 10)
        assert reply[:2] == b"\x05\x00"
        assert (socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big")) == peer.getsockname()
        assert read_exactly(client, 9) == b"220 hello"
        client.sendall(b"thanks")
        client.shutdown(socket.SHUT_WR)
        assert read_all(peer) == b"thanks"
    (session,) = plane.ended()
    assert (session.status, session.address, session.bytes_sent, session.bytes_received) == (
        "closed",
        "127.0.0.1",
        6,
        9,
    )
    nothing_is_left(plane)


def test_urgent_data_of_the_peer_arrives_in_its_place(plane):
    with plane.connect() as client, come(listening(client)) as peer:
        assert read_exactly(client, 10)[1] == 0
        peer.sendall(b"abc")
        peer.send(b"!", socket.MSG_OOB)
        peer.sendall(b"def")
        assert read_exactly(client, 7) == b"abc!def"


def test_strangers_are_turned_away_and_the_peer_may_still_come(plane):
    with plane.connect() as client:
        address = listening(client)
        for number in range(2, 20):
            with come(address, f"127.0.0.{number}") as stranger:
                assert stranger.recv(1) == b""
        with come(address):
            assert read_exactly(client, 10)[1] == 0
    plane.ended()
    nothing_is_left(plane)


def test_out_of_descriptors_the_client_is_told(plane):
    """And the loop does not spin."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with plane.connect() as client, socket.socket() as peer:
        address = listening(client)
        free = os.dup(0)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
            peer.connect(address)
            assert read_exactly(client, 10)[1] == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert plane.ended()[0].reason == "no_descriptors"
    nothing_is_left(plane)


def test_only_one_peer_gets_through(plane):
    with plane.connect() as client:
        address = listening(client)
        with standstill(plane):
            first, second = come(address), come(address)
        with first, second:
            assert read_exactly(client, 10)[1] == 0
            first.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
            with pytest.raises(ConnectionResetError):
                second.recv(1)


def test_a_peer_that_resets_at_once(plane):
    """It is gone before we could say who it was."""
    with plane.connect() as client:
        address = listening(client)
        with standstill(plane):
            peer = come(address)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            peer.close()
        assert read_exactly(client, 10)[1] == 1
        assert client.recv(1) == b""
    assert plane.ended()[0].reason == "peer_gone"
    nothing_is_left(plane)


@pytest.mark.parametrize(
    ("host", "reply", "reason"), [("10.0.0.1", 2, "private_destination"), ("none.invalid", 4, "name_not_found")]
)
def test_a_peer_that_may_not_or_cannot_come(plane, host, reply, reason):
    plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False)) or True)
    with plane.connect() as client:
        ask(client, host)
        assert read_all(client)[1] == reply
    assert plane.ended()[0].reason == reason
    nothing_is_left(plane)


def test_anybody_is_nobody_who_is_forbidden(plane):
    plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False)) or True)
    with plane.connect() as client:
        address = listening(client, "0.0.0.0")
        with come(address) as peer:
            assert peer.recv(1) == b""


def test_what_must_go_through_an_upstream_does_not_bind(plane):
    upstream = Upstream(name="a", protocol="socks5", address=Endpoint("127.0.0.1", 1))
    routes = (Route(upstreams=(Choice("a"),)),)
    plane.do(lambda: plane.core.apply(snapshot(2, upstreams=(upstream,), routes=routes)) or True)
    with plane.connect() as client:
        ask(client)
        assert read_all(client)[1] == 2
    assert plane.ended()[0].reason == "not_through_upstream"


def test_nobody_comes(plane):
    plane.amend(timeouts=Timeouts(bind=0.3))
    with plane.connect() as client:
        address = listening(client)
        assert read_exactly(client, 10)[1] == 4
        assert client.recv(1) == b""
        for _ in range(2):  # sockets are closed when the batch of events is over
            plane.do(lambda: True)
        with pytest.raises(ConnectionRefusedError):
            come(address)
    assert plane.ended()[0].reason == "timed_out"
    nothing_is_left(plane)


@pytest.mark.parametrize("how", ["end", "reset", "disabled"])
def test_the_listening_socket_goes_with_the_client(plane, how):
    with plane.connect() as client:
        address = listening(client)
        if how == "end":
            client.shutdown(socket.SHUT_WR)
        elif how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
        else:
            plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False})) or True)
        assert plane.ended()[0].reason == ("user_disabled" if how == "disabled" else "client_gone")
        nothing_is_left(plane)
        with pytest.raises(ConnectionRefusedError):
            come(address)


def test_the_peer_and_the_clients_end_come_in_one_batch(plane):
    with plane.connect() as client:
        address = listening(client)
        with standstill(plane):
            peer = come(address)
            client.shutdown(socket.SHUT_WR)
        with peer:
            assert peer.recv(1) == b"", "it may have got through, and was told the end"
    plane.ended()
    nothing_is_left(plane)


def test_who_waits_for_anybody_gets_nobody_whom_a_rule_blocks(plane):
    block = {"action": "block", "destinations": ["127.0.0.2"]}
    policy = CompiledPolicy(parse_policy({"default": "allow", "users": {"alice": {"rules": [block]}}}))
    plane.do(lambda: plane.core.set_policy(policy) or True)
    with plane.connect() as client:
        address = listening(client, "0.0.0.0")
        with come(address, "127.0.0.2") as blocked:
            blocked.settimeout(5)
            assert blocked.recv(1) == b""
        with come(address, "127.0.0.3"):
            assert read_exactly(client, 2) == b"\x05\x00"
    assert plane.ended()[0].address == "127.0.0.3"
