"""Names that TLS asks for, in tunnels over real sockets."""

import ssl

import pytest

from tests.protocols.test_client_hello import hello
from tests.support.plane import login, read_all, read_exactly, running_plane
from tests.support.servers import tcp_server
from tests.support.web import basic, read_head
from vpn.domain.inbound import TLS
from vpn.domain.session import Session
from vpn.protocols.client_hello import HELLO_LIMIT
from vpn.proxy.sniffing import look


def through(plane, port, *pieces):
    """Send the pieces through a tunnel to an echo, each after the one before has come back."""
    with plane.tunnel(port) as client:
        for piece in pieces:
            client.sendall(piece)
            assert read_exactly(client, len(piece)) == piece


@pytest.mark.parametrize("cut", [517, 1, 5, 60, 130])
def test_the_name_is_seen_however_the_hello_comes(plane, echo_port, cut):
    sent = hello("name.test")
    through(plane, echo_port, *filter(None, (sent[:cut], sent[cut:])))
    assert plane.ended()[0].server_name == "name.test"


def test_it_is_seen_in_what_comes_with_the_request(plane, echo_port):
    sent = hello("name.test")
    with plane.connect() as client:
        login(client)
        client.sendall(b"\x05\x01\x00\x01\x7f\0\0\1" + echo_port.to_bytes(2, "big") + sent)
        assert read_exactly(client, 10 + len(sent))[10:] == sent
    assert plane.ended()[0].server_name == "name.test"


def test_it_is_told_of_a_live_session(plane, echo_port):
    with plane.tunnel(echo_port) as client:
        plane.do(plane.core.report)
        sent = hello("name.test")
        client.sendall(sent)
        read_exactly(client, len(sent))
        assert [each.server_name for each in plane.do(plane.core.report).live] == ["name.test"]


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"\x16 no TLS at all", b"x" + hello()])
def test_other_traffic_has_no_name(plane, echo_port, data):
    through(plane, echo_port, data, hello()[:50])
    assert plane.ended()[0].server_name == ""


def test_of_endless_beginnings_little_is_kept():
    session = Session(1, "main", "::1", 1, 0.0)
    start = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + b"\xff" * 1000
    kept, held = b"", []
    while kept is not None:
        kept = look(session, kept, memoryview(start if not kept else b"\xff" * 1000))
        held.append(len(kept or b""))
    assert max(held) < HELLO_LIMIT
    assert len(held) == 5
    assert session.server_name == ""


@pytest.fixture
def secure_plane(files):
    with running_plane(tls=TLS(certificate=str(files.certificate), key=str(files.key))) as plane:
        yield plane


def connected(plane, issuer, port):
    context = ssl.create_default_context(cafile=issuer.file)
    client = context.wrap_socket(plane.connect(), server_hostname="localhost")
    client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port + basic() + b"\r\n")
    assert b" 200 " in read_head(client)
    return client


def test_of_an_inbound_in_tls_it_is_the_name_that_we_are_asked_for(secure_plane, issuer, echo_port):
    with connected(secure_plane, issuer, echo_port) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert secure_plane.ended()[0].server_name == "localhost"


def test_the_name_inside_the_tunnel_comes_before_ours(secure_plane, issuer, echo_port):
    sent = hello("inner.test")
    with connected(secure_plane, issuer, echo_port) as client:
        client.sendall(sent)
        assert read_exactly(client, len(sent)) == sent
    assert secure_plane.ended()[0].server_name == "inner.test"


def test_what_is_sniffed_arrives_unchanged(plane):
    got = []
    with tcp_server(lambda sock: got.append(read_all(sock))) as port, plane.tunnel(port) as client:
        for piece in (hello()[:30], hello()[30:60], b"rest"):
            client.sendall(piece)
    plane.ended()
    assert len(got[0]) == 64
