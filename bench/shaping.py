"""How exactly rates are kept: ``python -m bench.shaping``. It prints what was asked for and what came.

Two workers, the supervisor of the daemon, and the load generator's clients; downloads are counted by the
clients, datagrams where they arrive. A figure is of `--seconds` (5), from the first byte on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from math import inf
from pathlib import Path

import structlog

from bench import generator
from bench.site import HOST, PASSWORD
from vpn.domain.address import Endpoint
from vpn.domain.egress import Egress
from vpn.domain.inbound import Inbound
from vpn.domain.shaping import Claim, Plan
from vpn.protocols import datagram
from vpn.proxy.binding import bind
from vpn.proxy.control import Snapshot, SnapshotUser
from vpn.proxy.meter import DOWN
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.surroundings import Daemon

WORKERS = 2
USERS = ("alice", "bob", "carol")
MBIT = 125_000  # bytes per second
NEARLY = 0.2  # of the new rate: so near is a session when the new rate counts as being in force
WINDOW = 0.1  # seconds over which that is measured


class Bench:
    """Workers with users, and the load generator."""

    def __init__(self, program: Path, target: generator.Target, seconds: float) -> None:
        self.program = program
        self.target = target
        self.seconds = seconds
        bound = bind(Inbound("main", "mixed", Endpoint(HOST, 0)), WORKERS)
        self.port = bound.inbound.listen.port
        log = structlog.get_logger("bench")
        daemon = Daemon(self._verify, lambda attempts: None, lambda sessions: None, log)
        self.supervisor = Supervisor([bound], WORKERS, daemon)

    async def _verify(self, user: str, password: str, source: str) -> tuple[bool, int]:
        return password == PASSWORD, 1

    async def start(self) -> None:
        users = [SnapshotUser(name, 1, slot=slot) for slot, name in enumerate(USERS, 1)]
        await self.supervisor.start(Snapshot(1, users, Egress(private_destinations=True)))

    async def stop(self) -> None:
        await self.supervisor.stop(0)
        self.supervisor.kill()

    def follow(
        self, rates: Mapping[str, float], shared: float = inf, claims: Mapping[str, Claim] | None = None
    ) -> None:
        """Rates of users by themselves, and claims of those who share; downwards, and upwards the same."""
        alone = {USERS.index(name) + 1: int(rate) for name, rate in rates.items()}
        sharing = {USERS.index(name) + 1: claim for name, claim in (claims or {}).items()}
        plan = Plan(inf, alone, [(Claim(shared), sharing)] if sharing else [])
        self.supervisor.shaper.follow(plan, plan)

    async def download(self, user: str, connections: int, seconds: float | None = None) -> float:
        """Bytes per second that a user's client has got."""
        words = ["bulk", "--target", f"{self.target.host}:{self.target.source}", "--via", "socks5"]
        words += ["--proxy", f"{HOST}:{self.port}", "--user", user, "--password", PASSWORD]
        words += ["--clients", str(connections)]
        run = asyncio.to_thread(generator.run, self.program, words, seconds or self.seconds)
        counted = (await run).counted
        return float(counted["bytes"] / counted["seconds"])

    async def say_datagrams(self, user: str) -> float:
        """Bytes per second of datagrams that arrive when more are sent than may go."""
        return await asyncio.to_thread(self._say_datagrams, user)

    def _say_datagrams(self, user: str) -> float:
        with sink() as (port, arrived), socket.create_connection((HOST, self.port)) as control:
            sock = associate(control, user)
            data = datagram.header(HOST, port) + bytes(1200)
            end = time.monotonic() + self.seconds
            began = arrived[0]
            with sock:
                while time.monotonic() < end:
                    for _ in range(8):
                        sock.send(data)
                    time.sleep(0.001)  # some 77 Mbit/s, so that the test itself leaves the workers a core
                return (arrived[0] - began) / self.seconds

    async def change(self, user: str, rate: float) -> float:
        """Seconds until a live download is seen to have this rate, which takes half of `WINDOW` at least."""
        slot = USERS.index(user) + 1
        meter = self.supervisor.meter
        self.follow({user: rate})
        changed = time.monotonic()
        samples = [(changed, meter.total(slot, DOWN))]
        while True:
            await asyncio.sleep(0.005)
            now, moved = time.monotonic(), meter.total(slot, DOWN)
            samples.append((now, moved))
            since, before = next(each for each in samples if each[0] > now - WINDOW)
            if now - since > WINDOW / 2 and abs((moved - before) / (now - since) / rate - 1) < NEARLY:
                return now - changed
            if now - changed > 5:
                return inf


@contextlib.contextmanager
def sink() -> Iterator[tuple[int, list[int]]]:
    """Counts the bytes of datagrams that arrive at a port."""
    arrived = [0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))

        def listen() -> None:
            while data := sock.recv(65536):
                arrived[0] += len(data)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield sock.getsockname()[1], arrived
        sock.sendto(b"", sock.getsockname())
        thread.join()


def associate(control: socket.socket, user: str) -> socket.socket:
    """A socket whose datagrams are relayed for this user."""
    control.sendall(b"\x05\x01\x02")
    control.recv(2)
    name, word = user.encode(), PASSWORD.encode()
    control.sendall(b"\x01" + bytes([len(name)]) + name + bytes([len(word)]) + word)
    control.recv(2)
    control.sendall(b"\x05\x03\x00\x01" + bytes(6))
    reply = control.recv(10)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:10], "big")))
    return sock


def show(what: str, asked: float, measured: float) -> None:
    deviation = (measured / asked - 1) * 100
    print(f"| {what} | {asked / MBIT:.1f} | {measured / MBIT:.2f} | {deviation:+.1f} % |", flush=True)


async def measure_alone(bench: Bench) -> None:
    for rate in (1, 100, 1000):
        for connections in (1, 4):
            bench.follow({"alice": rate * MBIT})
            await asyncio.sleep(0.1)
            many = "1 connection" if connections == 1 else f"{connections} connections over {WORKERS} workers"
            show(f"TCP, {many}", rate * MBIT, await bench.download("alice", connections))
    for rate in (1, 20):
        bench.follow({"alice": rate * MBIT})
        show("UDP", rate * MBIT, await bench.say_datagrams("alice"))


async def measure_shared(bench: Bench) -> None:
    bench.follow({}, 100 * MBIT, {"alice": Claim(), "bob": Claim()})
    first, second = await asyncio.gather(bench.download("alice", 1), bench.download("bob", 4))
    show("two who share 100 Mbit/s: the one with 1 connection", 50 * MBIT, first)
    show("the one with 4", 50 * MBIT, second)
    bench.follow({}, 100 * MBIT, {"alice": Claim(), "bob": Claim()})
    show("one alone of two who share 100 Mbit/s", 100 * MBIT, await bench.download("alice", 4))
    flood = Claim(priority=7)
    bench.follow({}, 100 * MBIT, {"alice": Claim(guaranteed=60 * MBIT), "bob": flood, "carol": flood})
    runs = [bench.download(name, count) for name, count in (("alice", 1), ("bob", 4), ("carol", 4))]
    guaranteed, *others = await asyncio.gather(*runs)
    show("guaranteed 60 of 100 Mbit/s while two with a higher priority flood", 60 * MBIT, guaranteed)
    show("all three together", 100 * MBIT, guaranteed + sum(others))


async def measure_changes(bench: Bench) -> None:
    bench.follow({"alice": 100 * MBIT})
    download = asyncio.create_task(bench.download("alice", 4, 8))
    await asyncio.sleep(1)
    for rate in (10, 100, 2, 200):
        seconds = await bench.change("alice", rate * MBIT)
        print(f"| to {rate} Mbit/s while it downloads | | in force after {seconds * 1000:.0f} ms | |", flush=True)
        await asyncio.sleep(0.7)
    await download


async def run(seconds: float, parts: list[Callable[[Bench], Awaitable[None]]]) -> None:
    program = generator.build()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n\n| what | asked, Mbit/s | measured | deviation |")
    print("|---|---:|---:|---:|")
    with generator.target(program) as target:
        bench = Bench(program, target, seconds)
        await bench.start()
        try:
            for part in parts:
                await part(bench)
        finally:
            await bench.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    asyncio.run(run(parser.parse_args().seconds, [measure_alone, measure_shared, measure_changes]))


if __name__ == "__main__":
    main()
