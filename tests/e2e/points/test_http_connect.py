"""What implementations of HTTP's CONNECT, and of a proxy's own answers, get wrong."""

import socket

import pytest

from tests.support.clients import basic, connect, http_connect, read_head, read_response
from tests.support.origin import origin
from tests.support.plane import read_all, read_exactly
from tests.support.servers import busy_port, unused_port


def status(head):
    return int(head.split(b" ")[1])


def test_the_200_has_neither_content_length_nor_transfer_encoding(server, echo_port):
    with connect(server.open) as client:
        client.sendall(http_connect(echo_port))
        head = read_head(client).lower()
        assert head.startswith(b"http/1.1 200 ")
        assert b"content-length" not in head
        assert b"transfer-encoding" not in head
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"


def test_bytes_read_with_the_request_are_forwarded(server, echo_port):
    with connect(server.open) as client:
        client.sendall(http_connect(echo_port) + b"early" * 2000)
        client.shutdown(socket.SHUT_WR)
        read_head(client)
        assert read_all(client) == b"early" * 2000


def test_it_is_parsed_byte_by_byte(server, echo_port):
    said = http_connect(echo_port, fields=basic()) + b"early"
    with connect(server.daemon.port) as client:
        for at in range(len(said)):
            client.sendall(said[at : at + 1])
        client.shutdown(socket.SHUT_WR)
        assert status(read_head(client)) == 200
        assert read_all(client) == b"early"


def test_a_407_names_the_scheme_and_keeps_the_connection_for_the_retry(server, echo_port):
    with connect(server.daemon.port) as client:
        client.sendall(http_connect(echo_port))
        head, _ = read_response(client)
        assert status(head) == 407
        assert b"\r\nProxy-Authenticate: Basic realm=" in head
        assert b"connection: close" not in head.lower()
        client.sendall(http_connect(echo_port, fields=basic("alice", "wrong")))
        assert status(read_response(client)[0]) == 407
        client.sendall(http_connect(echo_port, fields=basic()) + b"x")
        assert status(read_head(client)) == 200
        assert read_exactly(client, 1) == b"x"


def test_the_body_of_a_request_that_got_407_is_no_second_request(server):
    with origin() as web, connect(server.daemon.port) as client:
        smuggled = web.get("/smuggled", basic())
        client.sendall(web.get("/", b"Content-Length: %d\r\n" % len(smuggled), "POST") + smuggled)
        assert status(read_response(client)[0]) == 407
        client.sendall(web.get("/asked", basic()))
        assert status(read_response(client)[0]) == 200
        assert [request.start for request in web.requests] == [b"GET /asked HTTP/1.1"]


@pytest.mark.parametrize("how", ["connect", "get"])
def test_403_where_a_rule_forbids(guarded, echo_port, how):
    for host in ("127.0.0.1", "localhost", "[::1]"):
        said = http_connect(echo_port, host) if how == "connect" else f"GET http://{host}:{echo_port}/ HTTP/1.1\r\n\r\n"
        with connect(guarded.open) as client:
            client.sendall(said if isinstance(said, bytes) else said.encode())
            assert status(read_head(client)) == 403


@pytest.mark.parametrize("how", ["connect", "get"])
def test_502_where_the_connect_failed(server, how):
    for host, port in (("127.0.0.1", unused_port()), ("nobody.test", 80), ("127.255.255.255", 80)):
        said = http_connect(port, host) if how == "connect" else f"GET http://{host}:{port}/ HTTP/1.1\r\n\r\n".encode()
        with connect(server.open) as client:
            client.sendall(said)
            assert status(read_head(client)) == 502


@pytest.mark.parametrize("how", ["connect", "get"])
def test_504_where_it_timed_out(server, how):
    with busy_port() as busy, connect(server.ports["short"]) as client:
        url = f"http://127.0.0.1:{busy.port}/"
        client.sendall(http_connect(busy.port) if how == "connect" else f"GET {url} HTTP/1.1\r\n\r\n".encode())
        assert status(read_head(client)) == 504


def test_504_where_the_destination_says_nothing(server):
    with origin(lambda request: None) as web, connect(server.ports["short"]) as client:
        client.sendall(web.get())
        assert status(read_head(client)) == 504


def test_431_where_the_header_block_is_too_long(server):
    for fields in (b"A: " + b"a" * 100_000 + b"\r\n", b"A: b\r\n" * 20_000):
        with connect(server.open) as client:
            client.sendall(http_connect(80, fields=fields))
            assert status(read_head(client)) == 431
            assert b"431" in read_all(client)


def test_414_where_the_start_line_is_too_long(server):
    with connect(server.open) as client:
        client.sendall(b"GET http://127.0.0.1/" + b"a" * 100_000)
        assert status(read_head(client)) == 414


@pytest.mark.parametrize(
    "said",
    [
        b"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n",
        b"CONNECT 127.0.0.1:0 HTTP/1.1\r\n\r\n",
        b"CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n",
        b"CONNECT ::1:80 HTTP/1.1\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://user@x/ HTTP/1.1\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nA : b\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\n A: b\r\n\r\n",
        b"GET http://x/ HTTP/2.0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_400_where_it_is_no_request(server, said):
    with connect(server.open) as client:
        client.sendall(said)
        assert status(read_head(client)) == 400


def test_socks_alone_means_socks_alone(server):
    with connect(server.ports["socks"]) as client:
        client.sendall(http_connect(80))
        assert read_all(client) == b""
