"""Shadowsocks, side by side: ``python -m bench.shadowsocks``. It prints speeds, and ratios within each round.

Ours with one worker and with two, and shadowsocks-libev's ``ss-server`` (Debian), with aes-256-gcm and the same load
generator, whose clients send the destination together with their first bytes, as phones do. And whether a client at a
known address gets in as quickly among a thousand users as alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from bench import generator, processes
from bench.generator import Outcome, Target
from bench.site import HOST, PASSWORD, free_ports
from vpn.domain.address import Endpoint
from vpn.domain.egress import Egress
from vpn.domain.inbound import Inbound
from vpn.proxy.binding import bind
from vpn.proxy.control import Snapshot, SnapshotUser
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.surroundings import Daemon

METHOD = "aes-256-gcm"
THOUSAND = 1000
RIVAL = "ss-server"
WARM_UP = 5.0  # seconds, until each of the 200 addresses that clients come from is known
LOADS = {"rate": ("connections/s", 1.0), "bulk": ("MB/s", 1e6)}


class _Feed:
    """Takes what is told about sessions, and stores nothing."""

    def hear(self, worker: int, report: object, ended: object, journal: object) -> None:
        journal.take(journal.read_to)  # type: ignore[attr-defined]

    def orphans(self, worker: int) -> list[object]:
        return []


class Measured:
    """The speed, and the CPU that the proxy took for it."""

    def __init__(self, kind: str, outcome: Outcome, cpu: float) -> None:
        counted = outcome.counted
        amount = counted["bytes"] if kind == "bulk" else counted["operations"]
        if not amount or outcome.failures > counted["operations"] / 1000:
            raise SystemExit(f"{kind}: {outcome.failures} failures: {counted['first_failure']}")
        self.speed = amount / counted["seconds"]
        self.cpu = cpu / amount
        self.p50 = counted["p50_us"]
        self.busy = cpu / counted["seconds"]


@contextlib.asynccontextmanager
async def ours(
    workers: int, users: int = 1, method: str = METHOD, key: str = ""
) -> AsyncIterator[tuple[int, list[int]]]:
    """Our workers with so many users, the last of whom is the client; yields the port, and the processes."""
    bound = bind(Inbound("main", "shadowsocks", Endpoint(HOST, 0), method=method, key=key), workers)
    daemon = Daemon(_refuse, lambda attempts: None, _Feed(), structlog.get_logger("bench"))
    supervisor = Supervisor([bound], workers, daemon)
    known = [SnapshotUser(f"user{number}", 1, slot=number, shadowsocks=f"secret{number}") for number in range(1, users)]
    known.append(SnapshotUser("bench", 1, slot=users, shadowsocks=PASSWORD))
    await supervisor.start(Snapshot(1, known, Egress(private_destinations=True)))
    try:
        yield bound.inbound.listen.port, [each.pid for each in supervisor.status()]
    finally:
        await supervisor.stop(0)
        supervisor.kill()


async def _refuse(user: str, password: str, source: str) -> tuple[bool, int]:
    return False, 0


@contextlib.asynccontextmanager
async def libev(method: str = METHOD) -> AsyncIterator[tuple[int, list[int]]]:
    """shadowsocks-libev."""
    port = next(free_ports())
    command = [RIVAL, "-s", HOST, "-p", str(port), "-k", PASSWORD, "-m", method, "-t", "60", "-u"]
    with (
        tempfile.TemporaryDirectory() as directory,
        processes.running(command, {}, Path(directory), (HOST, port)) as process,
    ):
        yield port, [process]


class Bench:
    """The load generator, and what it has measured."""

    def __init__(self, program: Path, target: Target, seconds: float) -> None:
        self._program = program
        self._target = target
        self._seconds = seconds

    async def load(self, kind: str, port: int, pids: list[int], clients: int = 0, warm_up: float = 0.5) -> Measured:
        """Load a proxy that listens there."""
        way = ["--via", "shadowsocks", "--proxy", f"{HOST}:{port}", "--password", PASSWORD]
        to = self._target.source if kind == "bulk" else self._target.echo
        words = [kind, "--target", f"{self._target.host}:{to}", *way]
        words += ["--clients", str(clients or {"rate": 64, "bulk": 4}[kind])]
        await asyncio.to_thread(generator.run, self._program, words, warm_up)  # it knows the addresses by then
        before = sum(map(processes.cpu_seconds, pids))
        outcome = await asyncio.to_thread(generator.run, self._program, words, self._seconds)
        return Measured(kind, outcome, sum(map(processes.cpu_seconds, pids)) - before)

    async def compare(self, rounds: int) -> None:
        """Ours and libev, in turn."""
        peers = {"libev": libev, "ours, 1 worker": lambda: ours(1), "ours, 2 workers": lambda: ours(2)}
        for kind, (unit, scale) in LOADS.items():
            seen: dict[str, list[Measured]] = {name: [] for name in peers}
            for turn in range(rounds):
                order = list(peers)[turn % len(peers) :] + list(peers)[: turn % len(peers)]
                for name in order:
                    async with peers[name]() as (port, pids):
                        seen[name].append(await self.load(kind, port, pids))
            for name, each in seen.items():
                speed = statistics.median(one.speed for one in each) / scale
                core = statistics.median(1 / one.cpu for one in each) / scale
                ratio = statistics.median(
                    one.speed / rival.speed for one, rival in zip(each, seen["libev"], strict=True)
                )
                busy = statistics.median(one.busy for one in each)
                print(
                    f"{kind:5} {name:16} {speed:9,.0f} {unit:14} x{ratio:.2f}   {core:9,.0f} per core, {busy:.2f} busy"
                )

    async def crowd(self, rounds: int) -> None:
        """A known address: among a thousand users as quick as alone?"""
        seen: dict[int, list[Measured]] = {1: [], THOUSAND: []}
        for _ in range(rounds):
            for users, measured in seen.items():
                async with ours(1, users) as (port, pids):
                    measured.append(await self.load("rate", port, pids, clients=8, warm_up=WARM_UP))
        for users, each in seen.items():
            speed = statistics.median(one.speed for one in each)
            latency = statistics.median(one.p50 for one in each)
            ratio = statistics.median(one.speed / alone.speed for one, alone in zip(each, seen[1], strict=True))
            core = statistics.median(1 / one.cpu for one in each)
            print(
                f"{users:4} users on the port: {speed:9,.0f} connections/s  x{ratio:.2f}   "
                f"{core:9,.0f} per core, p50 {latency:.0f} us"
            )


async def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crowd", action="store_true", help="only what a thousand users cost")
    options = parser.parse_args()
    program = generator.build()
    with generator.target(program) as target:
        bench = Bench(program, target, options.seconds)
        if not options.crowd:
            await bench.compare(options.rounds)
        await bench.crowd(options.rounds)


if __name__ == "__main__":
    asyncio.run(main())
