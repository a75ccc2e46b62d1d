import asyncio
import contextlib
import json
import socket
import ssl

import pytest

from tests.support.certificates import Authority
from vpn.api.certificate import APICertificate
from vpn.api.server import APIServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """The loop of the daemon."""
    return "asyncio", {"use_uvloop": True}


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_connections_that_came_early_are_answered_and_it_stops():
    sock = socket.create_server(("127.0.0.1", 0))
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    server = APIServer(hello, sock)
    server.start()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")
    await asyncio.wait_for(server.stop(), 10)
    assert sock.fileno() == -1
    writer.close()
    await writer.wait_closed()


@pytest.fixture
async def address():
    sock = socket.create_server(("127.0.0.1", 0))
    server = APIServer(hello, sock)
    server.start()
    yield sock.getsockname()
    await server.stop()


async def answer(address, *pieces):
    """What comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection(*address)
    for piece in pieces:
        writer.write(piece)
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    return received


async def test_what_is_no_http_is_answered_in_the_one_shape(address):
    head, _, body = (await answer(address, b"\x05\x01\x02\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert set(json.loads(body)) == {"code", "message", "hint"}


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(address, monkeypatch, said):
    monkeypatch.setattr("vpn.api.server.HEAD_TIMEOUT", 0.1)
    assert await answer(address, said) == b""


async def test_a_complete_request_is_not_hurried(address, monkeypatch):
    monkeypatch.setattr("vpn.api.server.HEAD_TIMEOUT", 0.1)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await answer(address, request)).endswith(b"hello")


async def test_what_was_never_started_stops_too():
    sock = socket.create_server(("127.0.0.1", 0))
    await APIServer(hello, sock).stop()
    sock.close()


@pytest.fixture
async def secure(tmp_path):
    """The address of a quiet server in TLS, and the authority that its certificate is of."""
    authority = Authority(tmp_path)
    sock = socket.create_server(("127.0.0.1", 0))
    certificate = APICertificate(*map(str, authority.issue("api")))
    server = APIServer(hello, sock, tls=certificate.context, quiet=True)
    server.start()
    yield sock.getsockname(), authority
    await server.stop()


async def test_tls_and_what_is_no_http_in_it(secure):
    address, authority = secure
    context = ssl.create_default_context(cafile=str(authority.file))
    for said, expected in ((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"hello"), (b"what?\r\n\r\n", b"close\r\n\r\n")):
        reader, writer = await asyncio.open_connection(*address, ssl=context)
        writer.write(said)
        received = await asyncio.wait_for(reader.readuntil(expected), 10)
        assert b"code" not in received
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_a_handshake_that_does_not_come_is_not_waited_for(tmp_path, monkeypatch, said):
    monkeypatch.setattr("vpn.api.arrivals.HANDSHAKE_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = APIServer(hello, sock, tls=APICertificate(*map(str, Authority(tmp_path).issue("api"))).context)
        server.start()
        assert await answer(sock.getsockname(), said) == b""
        await server.stop()


LONG_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"


async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(address, monkeypatch):
    monkeypatch.setattr("vpn.api.server.HEAD_TIMEOUT", 0.1)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(LONG_BODY)
    assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")

    async def drip():
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    dripping.cancel()
    writer.close()


async def test_who_does_not_read_his_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("vpn.api.server.READ_TIMEOUT", 0.1)
    ended = asyncio.Event()

    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not ended.is_set():
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
            if await disconnected(receive):
                ended.set()

    async def disconnected(receive):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                return (await receive())["type"] == "http.disconnect"
        return False

    sock = socket.create_server(("127.0.0.1", 0))
    server = APIServer(endless, sock)
    server.start()
    _, writer = await asyncio.open_connection(*sock.getsockname(), limit=1)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(ended.wait(), 10)
    writer.close()
    await server.stop()


@pytest.mark.parametrize("encrypted", [True, False])
async def test_who_says_nothing_gives_way_to_who_comes(tmp_path, monkeypatch, encrypted):
    monkeypatch.setattr("vpn.api.arrivals.MOST_CONNECTIONS", 5)
    authority = Authority(tmp_path)
    tls = APICertificate(*map(str, authority.issue("api"))).context if encrypted else None
    sock = socket.create_server(("127.0.0.1", 0))
    server = APIServer(hello, sock, tls=tls)
    server.start()
    silent = [await asyncio.open_connection(*sock.getsockname()) for _ in range(20)]
    context = ssl.create_default_context(cafile=str(authority.file)) if encrypted else None
    reader, writer = await asyncio.open_connection(*sock.getsockname(), ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")
        for first, _ in silent[:15]:
            assert await first.read() == b""
    for _, each in (*silent, (reader, writer)):
        each.close()
    await server.stop()
