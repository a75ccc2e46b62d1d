"""What implementations of the PROXY protocol get wrong: it is believed only from those who are trusted."""

import socket
import ssl
import struct

import pytest

from tests.support.clients import TLSClient, connect, http_connect, read_head
from tests.support.plane import login, read_all, read_exactly, running_plane

V1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 1080\r\n"
V1_6 = b"PROXY TCP6 2001:db8::9 ::1 4711 1080\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


BLOCK = socket.inet_aton("203.0.113.9") + b"\x7f\0\0\1" + b"\x12\x67\x04\x38"


def v2(command=0x21, kind=0x11, block=BLOCK):
    return SIGNATURE + struct.pack("!BBH", command, kind, len(block)) + block


TRUSTED = "127.0.0.2"
V2_6 = v2(kind=0x21, block=socket.inet_pton(socket.AF_INET6, "2001:db8::9") + bytes(16) + b"\x12\x67\x04\x38")


@pytest.mark.parametrize("header", [V1, V1_6, v2(), V2_6, v2(block=BLOCK + b"\x04\x00\x03tlv")])
@pytest.mark.parametrize("size", [1, 1000])
def test_the_header_of_a_trusted_address_says_who_the_client_is(server, echo_port, header, size):
    """The networks that need no credentials are the clients', not the load balancer's."""
    said = header + b"\x05\x01\x00"
    with connect(server.ports["balanced"], TRUSTED) as client:
        for at in range(0, len(said), size):
            client.sendall(said[at : at + size])
        assert read_exactly(client, 2) == b"\x05\x00"


def test_a_client_of_the_balancer_that_is_not_admitted_needs_credentials(server):
    for header in (V1.replace(b"203.0.113.9", b"198.51.100.9"), b"PROXY UNKNOWN\r\n", v2(command=0x20, block=b"")):
        with connect(server.ports["balanced"], TRUSTED) as client:
            client.sendall(header + b"\x05\x01\x00")
            assert read_all(client) == b"\x05\xff"
        with connect(server.ports["balanced"], TRUSTED) as client:
            client.sendall(header)
            login(client)


@pytest.mark.parametrize("header", [V1, v2()])
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.3"])
def test_from_an_untrusted_address_the_header_is_garbage(server, header, source):
    with connect(server.ports["balanced"], source) as client:
        client.sendall(header + b"\x05\x01\x00")
        try:
            heard = read_all(client)
        except ConnectionResetError:
            heard = b""
        assert b"\x05\x00" not in heard
        assert heard == b"" or heard.startswith(b"HTTP/1.1 400 ")


def test_an_untrusted_address_needs_no_header(server):
    with connect(server.ports["balanced"]) as client:
        login(client)


@pytest.mark.parametrize(
    "said", [b"\x05\x01\x00", http_connect(80), b"PROXY TCP4 nonsense\r\n", SIGNATURE + b"\x31\x11\0\0"]
)
def test_a_trusted_address_without_a_proper_header_is_not_served(server, said):
    with connect(server.ports["balanced"], TRUSTED) as client:
        client.sendall(said)
        try:
            assert read_all(client) == b""
        except ConnectionResetError:
            pass


def test_the_header_stands_before_tls(server, authority, echo_port):
    context = ssl.create_default_context(cafile=str(authority.file))
    with connect(server.ports["balanced_tls"], TRUSTED) as sock:
        sock.sendall(V1)
        with TLSClient(sock, context) as client:
            client.sendall(http_connect(echo_port))
            assert read_head(client).startswith(b"HTTP/1.1 407 "), "203.0.113.9 is not of loopback"


def test_the_source_of_the_session_is_the_client(echo_port):
    with running_plane(trusted_proxies=("127.0.0.1/32",)) as plane:
        with connect(plane.port) as client:
            client.sendall(V1)
            login(client)
        session = plane.ended()[0]
        assert (session.source_host, session.source_port) == ("203.0.113.9", 4711)
