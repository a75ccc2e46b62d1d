"""What is written down of a session, whatever became of it."""

import ssl

import pytest

from tests.proxy.test_association import associated, hear, say
from tests.proxy.test_binder import ask as ask_for_a_peer
from tests.proxy.test_binder import come, listening
from tests.support.plane import login, read_all, read_exactly, running_plane, snapshot
from tests.support.servers import udp_echo
from tests.support.web import basic, origin, read_head, read_message, request
from vpn.domain.acl import CompiledPolicy
from vpn.domain.inbound import TLS
from vpn.domain.policy_document import parse_policy
from vpn.domain.reasons import REASONS
from vpn.proxy import control

NOWHERE = b"\x05\x01\x00\x01\x7f\0\0\1\0\1"
CONNECT = b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n"


def told(plane, *names):
    """These fields of the one session that there was."""
    session = plane.ended()[0]
    assert session.status in REASONS[session.reason].statuses
    assert (session.inbound, session.source_host) == ("main", "127.0.0.1")
    assert 0 < session.started <= session.ended
    return tuple(getattr(session, name) for name in ("status", "reason", "user", "protocol", *names))


def say_once(plane, data):
    with plane.connect() as client:
        client.sendall(data)
        read_all(client)


def test_a_tunnel(plane, echo_port):
    with plane.tunnel(echo_port, host="localhost") as client:
        client.sendall(b"hello")
        read_exactly(client, 5)
    assert told(plane, "host", "port", "rule", "bytes_sent", "bytes_received") == (
        *("closed", "eof", "alice", "socks5"),
        *("localhost", echo_port, "default", 5, 5),
    )


@pytest.mark.parametrize(
    ("data", "reason", "protocol"),
    [
        (b"\x01", "unknown_protocol", ""),
        (b"\x05\x01\x00", "no_acceptable_method", "socks5"),
        (b"\x05\x01\x02\x01\x05alice\x05wrong", "authentication_failed", "socks5"),
        (b"\x05\x01\x02\x01\x07mallory\x05wrong", "authentication_failed", "socks5"),
        (b"\x04\x01\x00\x01\x7f\0\0\1alice\0", "authentication_required", "socks4"),
        (b"GET\r\n\r\n", "bad_start_line", "http"),
    ],
)
def test_who_does_not_get_in_is_nobody(plane, data, reason, protocol):
    say_once(plane, data)
    assert told(plane, "host", "rule") == ("failed", reason, "", protocol, "", "")


@pytest.mark.parametrize(
    ("bans", "data", "reason", "protocol"),
    [
        (control.Bans(sources=["127.0.0.1"]), b"", "source_banned", ""),
        (control.Bans(users={"alice": []}), b"\x05\x01\x02\x01\x05alice\x06s3cret", "user_banned", "socks5"),
    ],
)
def test_who_is_banned(plane, bans, data, reason, protocol):
    plane.do(lambda: plane.core.bans.replace(bans) or True)
    with plane.connect() as client:
        client.sendall(data or b"\x05")
        plane.until(lambda: plane.core.counters.users_banned + plane.core.counters.sources_banned)
    assert told(plane) == ("failed", reason, "", protocol)


def test_one_too_many(plane, echo_port):
    plane.amend(max_connections=1)
    with plane.tunnel(echo_port), plane.connect() as client:
        client.sendall(b"\x05")
        assert told(plane) == ("failed", "too_many_connections", "", "")


@pytest.mark.parametrize("protocol", ["socks5", "http", "forwarded"])
def test_a_destination_that_is_not_reached(plane, protocol):
    with plane.connect() as client:
        if protocol == "socks5":
            login(client)
            client.sendall(NOWHERE)
            read_all(client)
        else:
            client.sendall(CONNECT + basic() + b"\r\n" if protocol == "http" else request(1))
            read_head(client)
    spoken = "socks5" if protocol == "socks5" else "http"
    assert told(plane, "host", "port", "rule") == (
        *("failed", "connection_refused", "alice", spoken),
        *("127.0.0.1", 1, "default"),
    )


@pytest.mark.parametrize("command", [1, 2])
def test_a_destination_that_is_not_for_us(plane, command):
    plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False)) or True)
    with plane.connect() as client:
        login(client)
        client.sendall(bytes((5, command)) + NOWHERE[2:])
        read_all(client)
    assert told(plane, "host", "rule") == (
        *("rejected_by_acl", "loopback_destination", "alice", "socks5"),
        *("127.0.0.1", "default"),
    )


@pytest.mark.parametrize("command", [1, 2])
def test_a_rule_is_named(plane, command):
    rules = [{"action": "block", "destinations": ["127.0.0.1"]}]
    policy = CompiledPolicy(parse_policy({"groups": [{"name": "everyone", "rules": rules}]}))
    plane.do(lambda: plane.core.set_policy(policy) or True)
    with plane.connect() as client:
        login(client)
        client.sendall(bytes((5, command)) + NOWHERE[2:])
        read_all(client)
    assert told(plane, "rule") == ("rejected_by_acl", "blocked_by_rule", "alice", "socks5", "groups.everyone.rules.0")


def test_a_bind(plane):
    with plane.connect() as client, come(listening(client)) as peer:
        peer.sendall(b"hello")
        read_exactly(client, 15)
    assert told(plane, "host", "address", "bytes_sent", "bytes_received", "rule") == (
        *("closed", "eof", "alice", "socks5"),
        *("127.0.0.1", "127.0.0.1", 0, 5, "default"),
    )


def test_a_bind_that_is_given_up(plane):
    with plane.connect() as client:
        ask_for_a_peer(client)
        read_exactly(client, 10)
    assert told(plane, "host", "address") == ("failed", "client_gone", "alice", "socks5", "127.0.0.1", "")


@pytest.mark.parametrize("data", [b"hello", b""])
def test_datagrams(plane, data):
    with udp_echo() as port, associated(plane) as (_, sock):
        for _ in range(3):
            say(sock, port, data)
            hear(sock)
    assert told(plane, "packets_sent", "packets_received", "bytes_sent", "bytes_received") == (
        *("closed", "eof", "alice", "socks5"),
        *(3, 3, 3 * len(data), 3 * len(data)),
    )


def test_datagrams_that_are_refused_do_not_count(plane):
    plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False)) or True)
    with udp_echo() as port, associated(plane) as (_, sock):
        say(sock, port, b"hello")
        plane.until(lambda: any(line.event == "datagram refused" for line in plane.logs))
    assert told(plane, "packets_sent", "bytes_sent") == ("closed", "eof", "alice", "socks5", 0, 0)


def test_each_forwarded_request(plane):
    with origin() as web, plane.connect() as client:
        for _ in range(2):
            client.sendall(request(web.port))
            read_message(client)
        assert plane.do(plane.core.report).active == 0, "a client that asks for nothing is no session"
    for session in plane.ended(2):
        assert (session.status, session.reason, session.user, session.protocol) == ("closed", "eof", "alice", "http")
    assert len({session.id for session in plane.sessions}) == 2


def test_tls_that_fails(files, issuer):
    with running_plane(tls=TLS(certificate=str(files.certificate), key=str(files.key))) as plane:
        context = ssl.create_default_context()
        with context.wrap_socket(plane.connect(), server_hostname="localhost", do_handshake_on_connect=False) as client:
            with pytest.raises(ssl.SSLCertVerificationError):
                client.do_handshake()
            # Before it closes: what it has not read would make that a reset, which may overtake the alert.
            assert told(plane, "server_name") == ("failed", "tls_handshake_failed", "", "", "localhost")
