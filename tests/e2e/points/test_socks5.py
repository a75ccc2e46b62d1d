"""What implementations of SOCKS5 (RFC 1928, 1929) get wrong."""

import socket
import threading

import pytest

from tests.support.clients import BIND, CONNECT, ask, connect, greet, read_reply, socks5
from tests.support.plane import login, read_all, read_exactly
from tests.support.servers import busy_port, tcp_server, unused_port

SAID = b"\x05\x01\x02" + b"\x01\x05alice\x06s3cret"
WELCOMED = b"\x05\x02\x01\x00"


def test_it_is_parsed_from_any_fragmentation(server, echo_port):
    said = SAID + socks5(CONNECT, "localhost", echo_port) + b"early"
    for size in (1, 2, 3, 7, len(said)):
        with connect(server.daemon.port) as client:
            for at in range(0, len(said), size):
                client.sendall(said[at : at + size])
            assert read_exactly(client, 4) == WELCOMED
            assert read_reply(client)[0] == 0
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"early"


def test_surplus_bytes_are_handed_on_exactly_once(server, echo_port):
    surplus = bytes(range(256)) * 300
    with connect(server.daemon.port) as client:
        sender = threading.Thread(
            target=client.sendall, args=(SAID + socks5(CONNECT, "127.0.0.1", echo_port) + surplus,)
        )
        sender.start()
        assert read_exactly(client, 4) == WELCOMED
        assert read_reply(client)[0] == 0
        assert read_exactly(client, len(surplus)) == surplus
        sender.join(10)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""


def test_bytes_sent_before_the_reply_are_handed_on_exactly_once_and_the_reply_never_leads_the_connect(server):
    with busy_port() as busy, connect(server.open) as client:
        greet(client)
        client.sendall(socks5(CONNECT, "127.0.0.1", busy.port))
        client.sendall(b"mean")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.sendall(b"while")
        client.settimeout(20)
        with busy.next() as connection:
            assert read_reply(client) == (0, connection.getpeername())
            assert read_exactly(connection, 9) == b"meanwhile"
            client.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""


@pytest.mark.parametrize("methods", [b"\x00", b"\x01", b"", b"\x80\xfe"])
def test_no_acceptable_method_is_05_ff_and_then_the_end(server, methods):
    with connect(server.daemon.port) as client:
        client.sendall(bytes([5, len(methods)]) + methods)
        assert read_all(client) == b"\x05\xff"


def test_the_status_of_rfc_1929_has_version_1(server):
    with connect(server.daemon.port) as client:
        login(client)  # asserts 01 00
    with connect(server.daemon.port) as client:
        client.sendall(b"\x05\x01\x02\x01\x05alice\x05wrong")
        assert read_all(client) == b"\x05\x02\x01\x01"


@pytest.mark.parametrize("said", [b"\x05", b"\x05\x01", b"\x05\x01\x00", b"\x05\x01\x00\x05\x01\x00\x03\x09loc"])
def test_the_whole_handshake_is_bounded_in_time(server, said):
    """Wherever the client stops, and whether or not it drips on."""
    with connect(server.ports["short"]) as client:
        client.sendall(said)
        read_all(client)


def test_a_dripping_client_wins_no_time(server):
    with connect(server.ports["short"]) as client, pytest.raises(ConnectionError):
        client.sendall(b"\x05\xff")
        while True:
            client.sendall(b"\x01")
            threading.Event().wait(0.05)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_bnd_is_the_outgoing_sockets_local_address(server, host):
    seen = []
    serve = tcp_server(lambda connection: seen.append(connection.getpeername()[:2]), host)
    with serve as port, connect(server.open) as client:
        code, bound = ask(client, CONNECT, host, port)
        read_all(client)
    assert (code, [bound]) == (0, seen)


def test_connection_refused_is_5(server):
    with connect(server.open) as client:
        assert ask(client, CONNECT, "127.0.0.1", unused_port())[0] == 5


def test_network_unreachable_is_3(server):
    with connect(server.open) as client:
        assert ask(client, CONNECT, "127.255.255.255", 9)[0] == 3


def test_name_not_found_is_4(server):
    with connect(server.open) as client:
        assert ask(client, CONNECT, "nobody.test", 80)[0] == 4


def test_timed_out_is_4(server):
    with busy_port() as busy, connect(server.ports["short"]) as client:
        assert ask(client, CONNECT, "127.0.0.1", busy.port)[0] == 4


def test_forbidden_by_a_rule_is_2(guarded, echo_port):
    with connect(guarded.open) as client:
        assert ask(client, CONNECT, "127.0.0.1", echo_port)[0] == 2
    with connect(guarded.open) as client:
        assert ask(client, BIND, "127.0.0.1", 0)[0] == 2


@pytest.mark.parametrize("command", [0, 4, 9, 255])
def test_an_unknown_command_is_answered_7_before_closing(server, command):
    with connect(server.open) as client:
        assert ask(client, command, "127.0.0.1", 80)[0] == 7
        assert client.recv(1) == b""


@pytest.mark.parametrize("kind", [0, 2, 5, 255])
def test_an_unknown_address_type_is_answered_8_before_closing(server, kind):
    with connect(server.open) as client:
        greet(client)
        client.sendall(bytes([5, CONNECT, 0, kind]) + bytes(30))
        assert read_reply(client)[0] == 8
        assert client.recv(1) == b""


@pytest.mark.parametrize("request_", [b"\x05\x01\x01\x01", b"\x04\x01\x00\x01", socks5(CONNECT, "127.0.0.1", 0)])
def test_everything_else_is_1(server, request_):
    with connect(server.open) as client:
        greet(client)
        client.sendall(request_)
        assert read_reply(client)[0] == 1
        assert client.recv(1) == b""


def test_a_name_with_a_zero_byte_or_none_is_answered(server):
    for name in (b"", b"a\0b", b"a b", b"\xff\xfe"):
        with connect(server.open) as client:
            greet(client)
            client.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + b"\x00\x50")
            assert read_reply(client)[0] == 1
