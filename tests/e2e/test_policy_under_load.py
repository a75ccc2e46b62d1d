"""Policies that come and go while a crowd transfers: those who are forbidden are cut, all others notice nothing."""

import asyncio
import contextlib
import random

import pytest

from tests.support.daemon import running_daemon

KEPT, CUT = 60, 20  # tunnels
RELOADS = 12
POLICY = """\
default: allow
users:
  alice:
    rules:
      - {{action: block, destinations: [127.0.0.0/8], ports: [{port}]}}
{more}
"""
MORE = "\n".join(f"      - {{action: block, destinations: [10.0.{number}.0/24]}}" for number in range(100))

pytestmark = pytest.mark.anyio


async def echo(reader, writer):
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def tunnel(daemon, port):
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    try:
        writer.write(b"\x05\x01\x02\x01\x05alice\x06s3cret\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
        assert await reader.readexactly(4) == b"\x05\x02\x01\x00"
        assert (await reader.readexactly(10))[1] == 0
    except BaseException:
        writer.close()
        raise
    return reader, writer


class Kept:
    """A tunnel through which random bytes go round, all the time."""

    def __init__(self, reader, writer, seed):
        self.reader, self.writer = reader, writer
        self.random = random.Random(seed)
        self.rounds = 0

    async def run(self, enough):
        while not enough.is_set():
            data = self.random.randbytes(self.random.randrange(1, 60_000))
            self.writer.write(data)
            assert await self.reader.readexactly(len(data)) == data
            self.rounds += 1
        self.writer.close()


async def newcomers(daemon, port, enough):
    """Connections that are made meanwhile, each of which gets through; how many."""
    count = 0
    while not enough.is_set():
        reader, writer = await tunnel(daemon, port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
        count += 1
    return count


async def cut_ones(daemon, port):
    """Tunnels that are open until a policy forbids them."""
    tunnels = [await tunnel(daemon, port) for _ in range(CUT)]
    return [asyncio.create_task(reader.read(1)) for reader, _ in tunnels], [writer for _, writer in tunnels]


async def test_reloads_under_load(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("default: allow\n")
    settings = {"VPN_POLICY__MODE": "file", "VPN_POLICY__FILE": str(file), "VPN_PROXY__WORKERS": "2"}
    with running_daemon(tmp_path / "data", **settings) as daemon:
        daemon.add_user("alice")
        good = await asyncio.start_server(echo, "127.0.0.1", 0)
        bad = await asyncio.start_server(echo, "127.0.0.1", 0)
        good_port, bad_port = (server.sockets[0].getsockname()[1] for server in (good, bad))
        enough = asyncio.Event()
        kept = [Kept(*await tunnel(daemon, good_port), seed) for seed in range(KEPT)]
        running = [asyncio.create_task(each.run(enough)) for each in kept]
        coming = asyncio.create_task(newcomers(daemon, good_port, enough))
        for number in range(RELOADS):
            ends, writers = await cut_ones(daemon, bad_port)
            file.write_text(POLICY.format(port=bad_port, more=MORE))
            done, waiting = await asyncio.wait(ends, timeout=20)
            assert not waiting, f"reload {number}: {len(waiting)} of the forbidden tunnels are still open"
            assert all(end.exception() or end.result() == b"" for end in done)
            for writer in writers:
                writer.close()
            file.write_text(f"default: allow\n# {number}\n")
            await until_open(daemon, bad_port)
            assert not any(task.done() for task in (*running, coming)), "somebody who may go on did not"
        enough.set()
        assert await coming > RELOADS
        await asyncio.gather(*running)
        assert min(each.rounds for each in kept) >= RELOADS
        for server in (good, bad):
            server.close()


async def until_open(daemon, port):
    """Wait until the destination is allowed again."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(AssertionError):
                _, writer = await tunnel(daemon, port)
                writer.close()
                return
