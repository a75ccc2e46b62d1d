import pytest

from tests.support.clients import basic, connect, http_connect, read_head, read_response
from tests.support.plane import login, read_all, read_exactly, running_plane
from vpn.protocols.http1 import CREDENTIAL_ATTEMPTS
from vpn.proxy import bans as module
from vpn.proxy.bans import GATHER, TOLD_FOR, Bans
from vpn.proxy.control import Attempt, Attempts
from vpn.proxy.control import Bans as Message
from vpn.proxy.poller import Poller


@pytest.fixture
def poller():
    return Poller(pytest.fail)


@pytest.fixture
def told():
    return []


@pytest.fixture
def bans(poller, told):
    return Bans(poller, told.append)


def test_who_is_banned(bans):
    assert not bans.source_banned("192.0.2.1")
    assert not bans.user_banned("alice", "192.0.2.1")
    bans.replace(Message(["192.0.2.1", "2001:db8::/64"], {"alice": ["192.0.2.9", "2001:db8:1::/64"]}))
    assert bans.source_banned("192.0.2.1")
    assert bans.source_banned("2001:db8::77")
    assert not bans.source_banned("192.0.2.2")
    assert bans.user_banned("Alice", "192.0.2.2")
    assert not bans.user_banned("alice", "192.0.2.9")
    assert not bans.user_banned("alice", "2001:db8:1::5")
    assert not bans.user_banned("bob", "192.0.2.2")
    bans.replace(Message(users={"alice": []}, trusted=["192.0.2.0/28", "2001:db8::/32"]))
    assert [bans.user_banned("alice", host) for host in ("192.0.2.2", "2001:db8::1", "192.0.2.77")] == [
        False,
        False,
        True,
    ]
    bans.replace(Message())
    assert not bans.source_banned("192.0.2.1")
    assert not bans.user_banned("alice", "192.0.2.2")


def test_failures_are_gathered_and_told_together(bans, poller, told):
    for _ in range(3):
        bans.tried("alice", "192.0.2.1", False)
    bans.tried("alice", "192.0.2.2", False)
    assert told == []
    poller.turn(GATHER * 2)
    poller.turn(0)
    assert told == [Attempts([Attempt("alice", "192.0.2.1", 3), Attempt("alice", "192.0.2.2", 1)], [])]
    bans.tried("alice", "192.0.2.1", False)
    poller.turn(GATHER * 2)
    poller.turn(0)
    assert told[1:] == [Attempts([Attempt("alice", "192.0.2.1")], [])]


def test_a_right_password_is_told_once_in_a_while(bans, poller, told):
    for _ in range(3):
        bans.tried("alice", "192.0.2.1", True)
    bans._flush()
    assert told == [Attempts([], [Attempt("alice", "192.0.2.1")])]
    bans.tried("alice", "192.0.2.1", True)
    bans._flush()
    assert len(told) == 1
    poller.now += TOLD_FOR
    bans.tried("alice", "192.0.2.1", True)
    bans._flush()
    assert len(told) == 2


def test_what_is_gathered_is_bounded(bans, told, monkeypatch):
    monkeypatch.setattr(module, "MOST_GATHERED", 2)
    monkeypatch.setattr(module, "MOST_TOLD", 2)
    for number in range(5):
        bans.tried("alice", f"192.0.2.{number}", number % 2 == 0)
    assert len(told) == 2
    assert sum(len(each.failed) + len(each.succeeded) for each in told) == 4
    assert len(bans._told) == 1


def ban(plane, sources=(), users=None):
    plane.do(lambda: plane.core.bans.replace(Message(list(sources), users or {})) or True)


def assert_closed(client, said=b"\x05\x01\x02"):
    with client:
        try:
            client.sendall(said)
            assert read_all(client) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass


def test_a_banned_source_is_closed_and_others_are_served(plane):
    ban(plane, ["127.0.0.9"])
    assert_closed(connect(plane.port, "127.0.0.9"))
    (session,) = plane.ended()
    assert (session.status, session.reason, session.source_host) == ("failed", "source_banned", "127.0.0.9")
    with connect(plane.port, "127.0.0.8") as client:
        login(client)
    ban(plane)
    with connect(plane.port, "127.0.0.9") as client:
        login(client)


def test_a_turned_away_client_holds_no_place():
    with running_plane(max_connections=1) as plane:
        ban(plane, ["127.0.0.9"])
        for _ in range(3):
            assert_closed(connect(plane.port, "127.0.0.9"))
        with connect(plane.port, "127.0.0.8") as client:
            login(client)


def test_behind_a_load_balancer_its_clients_are_banned_and_it_never_is():
    with running_plane(trusted_proxies=("127.0.0.2/32",), max_connections=1) as plane:
        ban(plane, ["127.0.0.2", "203.0.113.9", "127.0.0.9"])
        for _ in range(2):
            assert_closed(
                connect(plane.port, "127.0.0.2"), b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 1080\r\n\x05\x01\x02"
            )
        assert_closed(connect(plane.port, "127.0.0.9"))
        with connect(plane.port, "127.0.0.2") as client:
            client.sendall(b"PROXY TCP4 203.0.113.8 127.0.0.1 4711 1080\r\n")
            login(client)
        reasons = [session.reason for session in plane.ended(4)]
        assert reasons == ["source_banned"] * 3 + ["client_closed"]


def test_a_banned_user_hears_what_a_wrong_password_hears(plane):
    ban(plane, users={"alice": ["127.0.0.5"], "nobody": []})
    for name in (b"\x05alice", b"\x06nobody"):
        with connect(plane.port, "127.0.0.6") as client:
            client.sendall(b"\x05\x01\x02\x01" + name + b"\x06s3cret")
            assert read_all(client) == b"\x05\x02\x01\x01"
    with connect(plane.port, "127.0.0.6") as client:
        for _ in range(CREDENTIAL_ATTEMPTS):
            client.sendall(http_connect(1, fields=basic("alice")))
            assert read_response(client)[0].startswith(b"HTTP/1.1 407 ")
    assert plane.verified == []
    sessions = plane.ended(3)
    assert {(session.status, session.reason, session.user) for session in sessions} == {("failed", "user_banned", "")}
    with connect(plane.port, "127.0.0.5") as client:
        login(client)
    assert [(each.user, each.source) for each in plane.verified] == [("alice", "127.0.0.5")]


def test_who_tries_another_name_on_the_same_connection_is_served(plane, echo_port):
    ban(plane, users={"alice": []})
    with connect(plane.port, "127.0.0.6") as client:
        client.sendall(http_connect(echo_port, fields=basic("alice")))
        assert read_response(client)[0].startswith(b"HTTP/1.1 407 ")
        client.sendall(http_connect(echo_port, fields=basic("bob")))
        assert read_head(client).startswith(b"HTTP/1.1 200 ")
    (session,) = plane.ended()
    assert (session.status, session.reason, session.user) == ("closed", "eof", "bob")


def test_a_wrong_password_that_is_remembered_is_told(plane):
    for _ in range(3):
        with connect(plane.port, "127.0.0.6") as client:
            client.sendall(b"\x05\x01\x02\x01\x05alice\x05wrong")
            assert read_exactly(client, 4) == b"\x05\x02\x01\x01"
    plane.until(lambda: bool(plane.attempts))
    assert len(plane.verified) == 1
    assert sum(each.times for message in plane.attempts for each in message.failed) == 2
