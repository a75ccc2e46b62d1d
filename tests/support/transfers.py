"""Random transfers both ways through a tunnel, compared byte for byte.

What is sent, in pieces of which size and with which pauses, follows from a seed that both ends know. So each
end can compare what arrives with what must, whatever became of the pieces on the way.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

BLOB = random.Random(0).randbytes(1024 * 1024)
SIZES = (1, 16, 300, 1460, 4096, 20_000, 70_000)
"""Transfers are of these sizes at most; each is as likely as the others."""
_PAUSES = (0, 0, 0, 0.0005, 0.002)  # seconds

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[int], Awaitable[Streams]]
"""Opens a tunnel to a port of this machine."""


class Pieces:
    """The transfers of one direction of one tunnel."""

    def __init__(self, seed: int, count: int) -> None:
        self._random = random.Random(seed)
        self._left = count

    def next(self) -> memoryview | None:
        """The next piece; None: that was the last."""
        if not self._left:
            return None
        self._left -= 1
        size = self._random.randint(1, self._random.choice(SIZES))
        start = self._random.randrange(len(BLOB) - size)
        return memoryview(BLOB)[start : start + size]


async def send(writer: asyncio.StreamWriter, seed: int, count: int) -> None:
    """Send the pieces, and end our direction."""
    pieces, pauses = Pieces(seed, count), random.Random(seed + 1)
    while (piece := pieces.next()) is not None:
        writer.write(piece)
        await writer.drain()
        pause = pauses.choice(_PAUSES)
        if pause:
            await asyncio.sleep(pause)
    writer.write_eof()


async def check(reader: asyncio.StreamReader, seed: int, count: int) -> None:
    """Receive the pieces and the end.

    Raises:
        AssertionError: something else came.
        IncompleteReadError: it ended too early.
    """
    pieces = Pieces(seed, count)
    while (piece := pieces.next()) is not None:
        assert await reader.readexactly(len(piece)) == piece, "the bytes changed on the way"
    assert await reader.read() == b"", "more came than was sent"


async def both_ways(streams: Streams, ours: int, theirs: int, count: int) -> None:
    """Send and receive at the same time; either direction may end first."""
    reader, writer = streams
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(send(writer, ours, count))
            group.create_task(check(reader, theirs, count))
    finally:
        writer.close()


async def transfer(open_tunnel: Open, *, tunnels: int, each_way: int, at_once: int, seed: int = 1) -> None:
    """Open tunnels, `at_once` at a time, and make so many transfers each way over each of them.

    Raises:
        ExceptionGroup: in one of them something got lost or was changed.
    """
    failures: list[Exception] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            number = int.from_bytes(await reader.readexactly(8), "big")
            await both_ways((reader, writer), number + 2, number, each_way)
        except (AssertionError, OSError, EOFError, ExceptionGroup) as error:
            failures.append(error)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    places = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with places:
            reader, writer = await open_tunnel(port)
            writer.write(number.to_bytes(8, "big"))
            await both_ways((reader, writer), number, number + 2, each_way)

    async with server, asyncio.TaskGroup() as group:
        for index in range(tunnels):
            group.create_task(one(seed * 1_000_000 + index * 4))
    if failures:
        raise ExceptionGroup("the destination got something else", failures)


def socks5(port: int, user: str, password: str) -> Open:
    """Tunnels by SOCKS5. Nothing is waited for but the replies, so the first piece may follow on their heels."""

    async def open_tunnel(destination: int) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        name, word = user.encode(), password.encode()
        writer.write(b"\x05\x01\x02\x01" + bytes([len(name)]) + name + bytes([len(word)]) + word)
        writer.write(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + destination.to_bytes(2, "big"))
        reply = await reader.readexactly(14)
        assert reply[:6] == b"\x05\x02\x01\x00\x05\x00", reply
        return reader, writer

    return open_tunnel


def http_connect(port: int, authorization: str) -> Open:
    """Tunnels by HTTP CONNECT."""

    async def open_tunnel(destination: int) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"CONNECT 127.0.0.1:{destination} HTTP/1.1\r\nProxy-Authorization: {authorization}\r\n\r\n"
        writer.write(request.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        return reader, writer

    return open_tunnel
