"""What implementations of SOCKS4 and 4a get wrong."""

import socket

import pytest

from tests.support.clients import CONNECT, connect, read_reply4, socks4
from tests.support.plane import read_all, read_exactly, running_plane
from tests.support.servers import unused_port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_is_parsed_byte_by_byte_and_surplus_bytes_are_handed_on(server, echo_port, host):
    said = socks4(CONNECT, host, echo_port, b"somebody") + b"early"
    with connect(server.open) as client:
        for at in range(len(said)):
            client.sendall(said[at : at + 1])
        client.shutdown(socket.SHUT_WR)
        assert read_reply4(client)[0] == 90
        assert read_all(client) == b"early"


def test_the_marker_of_4a_is_all_four_octets(guarded):
    """0.0.0.0 and 0.0.1.5 are addresses: no name follows, and none is waited for."""
    for host in ("0.0.0.0", "0.0.1.5", "0.1.0.5"):
        with connect(guarded.open) as client:
            client.sendall(socks4(CONNECT, host, 80))
            assert read_reply4(client)[0] == 91


@pytest.mark.parametrize("last", [1, 7, 255])
def test_any_last_octet_but_zero_marks_4a(server, echo_port, last):
    with connect(server.open) as client:
        said = b"\x04\x01" + echo_port.to_bytes(2, "big") + bytes([0, 0, 0, last]) + b"\0localhost\0"
        client.sendall(said + b"x")
        assert read_reply4(client)[0] == 90
        assert read_exactly(client, 1) == b"x"


@pytest.mark.parametrize("said", [socks4(CONNECT, "127.0.0.1", 80, b"u" * 300), socks4(CONNECT, "n" * 300, 80)])
def test_userid_and_name_are_bounded(server, said):
    with connect(server.open) as client:
        client.sendall(said)
        assert read_all(client)[:2] == b"\x00\x5b"


@pytest.mark.parametrize("said", [socks4(CONNECT, "127.0.0.1", 80)[:-1] + b"u" * 200, b"\x04\x01\x00\x50\0\0\0\1\0nam"])
def test_who_never_ends_userid_or_name_is_dropped(server, said):
    with connect(server.ports["short"]) as client:
        client.sendall(said)
        assert read_all(client) == b""


@pytest.mark.parametrize("user", [b"", b"alice", b"alice:s3cret"])
def test_where_credentials_are_required_userid_is_none(server, echo_port, user):
    with connect(server.daemon.port) as client:
        client.sendall(socks4(CONNECT, "127.0.0.1", echo_port, user))
        assert read_all(client) == b"\x00\x5b" + bytes(6)


def test_where_no_credentials_are_required_userid_is_not_believed_either(echo_port):
    with running_plane(open_to=("127.0.0.0/8",)) as plane:
        with connect(plane.port) as client:
            client.sendall(socks4(CONNECT, "127.0.0.1", echo_port, b"alice"))
            assert read_reply4(client)[0] == 90
        assert plane.ended()[0].user == "anonymous"


def test_the_reply_to_connect_is_90_and_anything_else_91(server, guarded, echo_port):
    refused = [
        (server.open, socks4(CONNECT, "127.0.0.1", unused_port())),
        (server.open, socks4(CONNECT, "nobody.test", 80)),
        (server.open, socks4(CONNECT, "127.255.255.255", 80)),
        (server.open, socks4(CONNECT, "127.0.0.1", 0)),
        (server.open, socks4(3, "127.0.0.1", 80)),
        (server.open, socks4(0, "127.0.0.1", 80)),
        (guarded.open, socks4(CONNECT, "127.0.0.1", echo_port)),
        (guarded.open, socks4(CONNECT, "localhost", echo_port)),
    ]
    for port, said in refused:
        with connect(port) as client:
            client.sendall(said)
            assert read_all(client)[:2] == b"\x00\x5b"
    with connect(server.open) as client:
        client.sendall(socks4(CONNECT, "127.0.0.1", echo_port))
        assert read_reply4(client)[0] == 90
