"""What implementations of a forwarding HTTP proxy get wrong (RFC 9110, 9112)."""

import socket
import struct
import threading

import pytest

from tests.support.clients import basic, connect, read_head, read_response
from tests.support.origin import origin
from tests.support.plane import read_all, read_exactly
from tests.support.servers import tcp_server
from tests.support.waiting import until


def status(head):
    return int(head.split(b" ")[1])


def fetch(port, said):
    """One request, and all that comes back until the response is complete."""
    with connect(port) as client:
        client.sendall(said)
        return read_response(client)


def test_absolute_form_becomes_origin_form_and_the_host_is_the_uris(server):
    with origin() as web:
        for path, wanted in (("/a?b=c", b"/a?b=c"), ("", b"/"), ("?q", b"/?q"), ("/x#fragment", b"/x")):
            said = f"GET {web.url(path)} HTTP/1.1\r\nHost: elsewhere.test\r\nCookie: c\r\n\r\n".encode()
            assert status(fetch(server.open, said)[0]) == 200
            request = web.requests.pop()
            assert request.start == b"GET " + wanted + b" HTTP/1.1"
            assert request.field(b"host") == b"127.0.0.1:%d" % web.port
            assert request.field(b"cookie") == b"c"


def test_what_is_for_the_proxy_alone_is_removed(server):
    private = (
        b"Connection: keep-alive, X-Private\r\nX-Private: p\r\nProxy-Connection: keep-alive\r\n"
        b"Proxy-Authenticate: x\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Public: yes\r\n"
    )
    with origin() as web:
        fetch(server.daemon.port, web.get("/", private + basic()))
        (request,) = web.requests
        for name in (b"x-private", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te"):
            assert request.field(name) is None, name
        for name in (b"keep-alive", b"upgrade", b"via"):
            assert request.field(name) is None, name
        assert request.field(b"x-public") == b"yes"


def test_what_was_for_the_proxy_alone_is_removed_from_the_answer(server):
    private = (
        b"Connection: X-Private\r\nX-Private: p\r\nKeep-Alive: 5\r\nProxy-Authenticate: Basic\r\nX-Public: yes\r\n"
    )
    with origin(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + private + b"\r\nok") as web:
        head, body = fetch(server.open, web.get())
    assert body == b"ok"
    assert b"X-Public: yes" in head
    for name in (b"x-private", b"keep-alive:", b"proxy-"):
        assert name not in head.lower()


def test_via_is_as_configured(server):
    with origin() as web:
        head, _ = fetch(server.ports["via"], web.get("/", b"Via: 1.0 before\r\n"))
        fields = [field for field in web.requests[0].fields if field.lower().startswith(b"via")]
        assert fields == [b"Via: 1.0 before", b"Via: 1.1 gate"]
        assert b"\r\nVia: 1.1 gate\r\n" in head


def test_both_transfer_encoding_and_content_length_are_400(server):
    with origin() as web:
        fields = b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"
        assert status(fetch(server.open, web.get("/", fields, "POST") + b"0\r\n\r\n")[0]) == 400
        fields = b"Content-Length: 5\r\nContent-Length: 6\r\n"
        assert status(fetch(server.open, web.get("/", fields, "POST") + b"hello")[0]) == 400
        assert web.requests == []


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints"])
def test_1xx_answers_are_relayed(server, interim):
    def answer(request):
        request.connection.sendall(b"HTTP/1.1 " + interim + b"\r\nLink: x\r\n\r\n")
        body = request.read(5)
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)

    with origin(answer) as web, connect(server.open) as client:
        client.sendall(web.get("/", b"Expect: 100-continue\r\nContent-Length: 5\r\n", "POST"))
        assert read_head(client).startswith(b"HTTP/1.1 " + interim + b"\r\n")
        assert web.requests[0].field(b"expect") == b"100-continue"
        client.sendall(b"hello")
        assert read_response(client)[1] == b"hello"


def test_101_becomes_a_tunnel_with_what_came_behind_it(server):
    def answer(request):
        assert (request.field(b"upgrade"), request.field(b"connection")) == (b"websocket", b"Upgrade")
        switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        request.connection.sendall(switching + b"hello")
        request.connection.sendall(request.read(7).upper())

    with origin(answer) as web, connect(server.open) as client:
        client.sendall(web.get("/", b"Connection: Upgrade\r\nUpgrade: websocket\r\n") + b"ear")
        head = read_head(client)
        assert status(head) == 101
        assert b"\r\nUpgrade: websocket\r\n" in head
        assert read_exactly(client, 5) == b"hello"
        client.sendall(b"ly x")
        assert read_exactly(client, 7) == b"EARLY X"


def test_chunked_both_ways(server):
    chunked = b"5;ext=1\r\nhello\r\nA\r\n" + b"0123456789" + b"\r\n0\r\nTrailer: t\r\n\r\n"
    plain = chunked.replace(b";ext=1", b"").replace(b"A\r\n", b"a\r\n", 1)

    def answer(request):
        assert request.field(b"transfer-encoding") == b"chunked"
        assert request.field(b"content-length") is None
        assert request.read(len(plain)) == plain
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked)

    with origin(answer) as web, connect(server.open) as client:
        for _ in range(2):  # the end is known, so the connection is kept
            client.sendall(web.get("/", b"Transfer-Encoding: chunked\r\n", "POST") + chunked)
            assert b"\r\nTransfer-Encoding: chunked\r\n" in read_head(client)
            assert read_exactly(client, len(plain)) == plain


def test_a_client_of_http_1_0_gets_no_chunks_no_1xx_and_the_end(server):
    answer = (
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    with origin(answer) as web, connect(server.open) as client:
        client.sendall(web.get(version="1.0"))
        head = read_head(client)
        assert status(head) == 200
        assert b"chunked" not in head.lower()
        assert read_all(client) == b"hello"
        assert web.requests[0].start.endswith(b"HTTP/1.1")


def test_an_answer_to_head_has_no_body_whatever_its_length_says(server):
    with origin(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n") as web, connect(server.open) as client:
        for _ in range(2):
            client.sendall(web.get(method="HEAD"))
            assert b"\r\nContent-Length: 1000\r\n" in read_head(client)


@pytest.mark.parametrize("code", [204, 304])
def test_204_and_304_have_no_body(server, code):
    fields = b"Content-Length: 1000\r\n" if code == 304 else b""
    with origin(b"HTTP/1.1 %d Nothing\r\n%s\r\n" % (code, fields)) as web, connect(server.open) as client:
        for _ in range(2):
            client.sendall(web.get())
            head = read_head(client)
            assert status(head) == code
            assert b"chunked" not in head.lower()


def test_a_response_that_ends_with_the_connection(server):
    def answer(request):
        request.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        request.connection.shutdown(socket.SHUT_WR)

    with origin(answer) as web, connect(server.open) as client:
        client.sendall(web.get())
        assert b"connection: close" in read_head(client).lower()
        assert len(read_all(client)) == 100_000


TRUNCATED = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
]


@pytest.mark.parametrize("answer", TRUNCATED)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_truncated_response_is_a_reset_and_never_looks_complete(server, answer, version):
    def serve(request):
        request.connection.sendall(answer)
        request.connection.shutdown(socket.SHUT_WR)

    with origin(serve) as web, connect(server.open) as client:
        client.sendall(web.get(version=version))
        with pytest.raises(ConnectionResetError):
            read_all(client)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nContent-Le", b"nonsense\r\n\r\n"])
def test_no_response_at_all_is_502(server, answer):
    def serve(request):
        request.connection.sendall(answer)
        request.connection.shutdown(socket.SHUT_WR)

    with origin(serve) as web:
        assert status(fetch(server.open, web.get(method="POST", fields=b"Content-Length: 0\r\n"))[0]) == 502


def test_a_response_that_a_reset_ends_is_a_reset(server):
    def serve(request):
        request.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\npartial")
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()
        raise OSError

    with origin(serve) as web, connect(server.open) as client:
        client.sendall(web.get())
        with pytest.raises(ConnectionResetError):
            read_all(client)


def test_a_request_that_the_client_breaks_off_is_not_complete_for_the_destination(server):
    seen = []

    def answer(request):
        try:
            while data := request.read(4):
                seen.append(data)
        except ConnectionResetError:
            seen.append("reset")

    with origin(answer) as web, connect(server.open) as client:
        client.sendall(web.get("/", b"Content-Length: 100\r\n", "POST") + b"some")
        until(lambda: seen)
        client.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        until(lambda: seen == [b"some", "reset"])


def test_a_client_that_is_done_asking_gets_its_answer(server):
    """The half-close of HTTP: the request is complete, so its sender may end its direction."""
    with origin() as web, connect(server.open) as client:
        client.sendall(web.get())
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b"\r\n\r\nok")


def test_an_answer_before_the_request_is_complete_is_relayed(server):
    """413, say. The connection cannot be kept then: what follows is the rest of the request."""

    def refuse(request):
        request.connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        request.read()

    with origin(refuse) as web, connect(server.open) as client:
        client.sendall(web.get("/", b"Content-Length: 100000000\r\n", "POST") + b"x" * 1000)
        assert status(read_head(client)) == 413
        assert client.recv(1) == b""


def test_large_bodies_both_ways_bit_for_bit(server):
    size = 8 * 1024 * 1024
    payload = bytes(range(256)) * (size // 256)

    def answer(request):
        body = request.read(size)
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)

    with origin(answer) as web, connect(server.open) as client:
        said = web.get("/", b"Content-Length: %d\r\n" % size, "POST") + payload
        sender = threading.Thread(target=client.sendall, args=(said,))
        sender.start()
        head = read_head(client)
        assert status(head) == 200
        assert read_exactly(client, size) == payload
        sender.join(10)


def test_the_destinations_early_words_are_no_answer(server):
    """Nor are they passed on as one."""

    def greet(connection):
        connection.sendall(b"220 mail.test ESMTP\r\n\r\n")
        read_all(connection)

    with tcp_server(greet) as port:
        said = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n".encode()
        assert status(fetch(server.open, said)[0]) == 502
