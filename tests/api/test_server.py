import asyncio
import socket

import pytest

from vpn.api.server import APIServer

pytestmark = pytest.mark.anyio


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


async def test_what_was_never_started_stops_too():
    sock = socket.create_server(("127.0.0.1", 0))
    await APIServer(hello, sock).stop()
    sock.close()
