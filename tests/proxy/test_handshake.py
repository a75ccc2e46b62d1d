"""Clients that have no tunnel yet, over real sockets."""

import base64
import contextlib
import socket
import struct

import pytest

from tests.support import web
from tests.support.plane import login, read_all, read_exactly, snapshot
from tests.support.servers import echo, tcp_server, unused_port
from vpn.domain.inbound import Timeouts

HASTY = Timeouts(handshake=0.3, connect=0.3, idle=30)


def request(port, host=b"\x7f\x00\x00\x01"):
    return b"\x05\x01\x00\x01" + host + port.to_bytes(2, "big")


def ask(client, *arguments, **options):
    client.sendall(web.request(*arguments, **options))
    return web.read_message(client)


def basic(user="alice", password="s3cret"):
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()) + b"\r\n"


def test_a_tunnel_byte_by_byte(plane):
    with tcp_server(echo) as port, plane.connect() as client:
        said = b"\x05\x01\x02" + b"\x01\x05alice\x06s3cret" + request(port) + b"early"
        for at in range(len(said)):
            client.sendall(said[at : at + 1])
        reply = read_exactly(client, 2 + 2 + 10 + 5)
        assert reply[:8] == b"\x05\x02\x01\x00\x05\x00\x00\x01"
        assert reply[-5:] == b"early"


def test_everything_in_one_segment(plane):
    """Bytes sent right behind the request arrive, and exactly once."""
    with tcp_server(echo) as port, plane.connect() as client:
        early = bytes(range(256)) * 40
        client.sendall(b"\x05\x01\x02" + b"\x01\x05alice\x06s3cret" + request(port) + early)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client)[14:] == early


def test_the_bound_address_is_the_outgoing_sockets_own(plane):
    seen = []
    with tcp_server(lambda connection: seen.append(connection.getpeername())) as port, plane.connect() as client:
        login(client)
        client.sendall(request(port))
        reply = read_exactly(client, 10)
        read_all(client)
    assert (socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big")) == seen[0]


def test_http_connect_with_early_bytes(plane):
    with tcp_server(echo) as port, plane.connect() as client:
        client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port + basic() + b"\r\nearly")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"HTTP/1.1 200 Connection established\r\n\r\nearly"


def test_http_407_keeps_the_connection(plane):
    with tcp_server(echo) as port, plane.connect() as client:
        client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % port)
        assert read_exactly(client, 12) == b"HTTP/1.1 407"
        client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port + basic() + b"\r\nx")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b"HTTP/1.1 200 Connection established\r\n\r\nx")


def test_no_acceptable_method_is_answered_though_more_bytes_are_coming(plane):
    """The refusal must not be overtaken by a reset for the bytes that nobody read."""
    with plane.connect() as client:
        client.sendall(b"\x05\x01\x00" + bytes(100_000))
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"\x05\xff"
    (session,) = plane.ended()
    assert (session.status, session.reason, session.user) == ("failed", "no_acceptable_method", "")


def test_a_wrong_password(plane):
    with plane.connect() as client:
        client.sendall(b"\x05\x01\x02\x01\x05alice\x05wrong")
        assert read_all(client) == b"\x05\x02\x01\x01"
    (session,) = plane.ended()
    assert (session.status, session.reason, session.protocol) == ("failed", "authentication_failed", "socks5")


@pytest.mark.parametrize(("reply", "port"), [(5, None), (2, 80)])
def test_connect_failures_are_told_apart(plane, reply, port):
    if reply == 2:
        plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False)) or True)
    with plane.connect() as client:
        login(client)
        client.sendall(request(port or unused_port()))
        assert read_all(client)[1] == reply
    (session,) = plane.ended()
    assert session.user == "alice"
    assert (session.status, session.reason) == (
        ("failed", "connection_refused") if reply == 5 else ("rejected_by_acl", "loopback_destination")
    )


def test_an_unknown_protocol_is_closed_without_a_word(plane):
    with plane.connect() as client:
        client.sendall(b"\x16\x03\x01")
        assert read_all(client) == b""
    assert plane.ended()[0].reason == "unknown_protocol"


@pytest.mark.parametrize("said", [b"", b"\x05", b"\x05\x01\x02\x01\x05ali", b"CONNECT x:1 HTTP/1.1\r\n"])
def test_who_says_too_little_is_dropped(plane, said):
    plane.amend(timeouts=HASTY)
    with plane.connect() as client:
        client.sendall(said)
        read_all(client)
    assert plane.ended()[0].reason == "handshake_timeout"
    assert plane.do(lambda: len(plane.core.connections)) == 0


def test_a_destination_that_does_not_answer_is_given_up(plane, full_port):
    plane.amend(timeouts=HASTY)
    with plane.connect() as client:
        login(client)
        client.sendall(request(full_port))
        assert read_all(client)[1] == 4
    assert plane.ended()[0].reason == "timed_out"


def test_a_client_that_goes_while_we_connect_is_forgotten(plane, full_port):
    client = plane.connect()
    login(client)
    client.sendall(request(full_port))
    plane.until(lambda: any(each.session.host for each in plane.core.connections))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert plane.ended()[0].reason == "client_gone"
    assert plane.do(lambda: len(plane.core.connections)) == 0


@pytest.fixture
def full_port():
    """A port whose queue is full, so that connecting to it takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for client in waiting:
            client.close()


def test_what_a_client_sends_while_we_connect_arrives(plane):
    """The bytes come before the connection stands, and no event tells of them again."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for stranger in waiting:
            stranger.setblocking(False)
            stranger.connect_ex(address)
        with plane.connect() as client:
            login(client)
            client.sendall(request(address[1]))
            plane.until(lambda: any(each.session.host for each in plane.core.connections))
            client.sendall(b"meanwhile")
            plane.until(lambda: any(each._unread for each in plane.core.connections))
            listener.settimeout(10)
            for stranger in waiting:
                stranger.close()
            # Ours is the one that sends nothing of its own accord until the kernel tries again.
            while True:
                connection, _ = listener.accept()
                connection.settimeout(5)
                with connection:
                    if connection.recv(100) == b"meanwhile":
                        break
            assert read_exactly(client, 10)[1] == 0


def test_a_user_who_is_disabled_while_we_connect_gets_no_tunnel(plane, full_port):
    with plane.connect() as client:
        login(client)
        client.sendall(request(full_port))
        plane.until(lambda: any(each.session.host for each in plane.core.connections))
        plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False})) or True)
        assert read_all(client) == b""
    assert plane.ended()[0].reason == "user_disabled"


def test_a_flood_of_empty_lines_does_not_hold_up_others(plane):
    with plane.connect() as flooding:
        flooding.sendall(b"CONNECT x:1 HTTP/1.1\r\n\r\n")
        assert read_exactly(flooding, 12) == b"HTTP/1.1 407"
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                flooding.sendall(b"\r\n" * 2048)
    assert plane.ended()[0].reason == "bad_start_line"


def test_a_client_that_never_stops_sending_after_a_refusal_is_dropped(plane):
    """The farewell is bounded in time, whatever comes."""
    with plane.connect() as client:
        client.sendall(b"\x05\x01\x00")
        assert read_exactly(client, 2) == b"\x05\xff"
        with pytest.raises(OSError):  # noqa: PT011 -- reset or broken pipe
            while True:
                client.sendall(bytes(1000))
    plane.ended()


@pytest.mark.parametrize("said", [b"\x05\x01\x02", b"\x04\x01", b"\x00", b"\x16\x03\x01"])
def test_on_a_kept_connection_only_http_is_spoken(plane, said):
    with web.origin() as server, plane.connect() as client:
        ask(client, server.port)
        client.sendall(said)
        assert client.recv(1) == b""
        assert server.gone.acquire(timeout=5)
    assert [each.reason for each in plane.ended(2)] == ["eof", "unknown_protocol"]


def test_an_empty_line_behind_a_body_is_tolerated(plane):
    """RFC 9112 §2.2: old clients send one."""
    with web.origin() as server, plane.connect() as client:
        client.sendall(web.request(server.port, "POST", body=b"one") + b"\r\n" + web.request(server.port, path="/two"))
        assert [web.read_message(client)[1] for _ in range(2)] == [b"/ one", b"/two "]
        client.sendall(b"\r\n")
        assert ask(client, server.port, path="/three")[1] == b"/three "
    plane.ended(3)


def test_who_needs_no_password_does_once_the_name_is_a_disabled_users(plane):
    plane.amend(open_to=("127.0.0.0/8",), anonymous_user="guest")
    with web.origin() as server, plane.connect() as client, plane.connect() as waiting:
        said = web.request(server.port).replace(basic(), b"")
        client.sendall(said)
        assert web.read_message(client)[1] == b"/ "
        waiting.sendall(said[:10])
        plane.until(lambda: len(plane.core.connections) == 2)
        plane.do(lambda: plane.core.apply(snapshot(2, users={"guest": False})) or True)
        assert read_all(client) == read_all(waiting) == b""
        with plane.connect() as again:
            again.sendall(said)
            assert web.read_message(again)[0].startswith(b"HTTP/1.1 407 ")
    assert len(server.heads) == 1
