"""How fast sessions are stored and found: ``python -m bench.sessions [sqlite|postgresql] [rows]``.

A million sessions are stored as the daemon does it. Then a hundred thousand more are, in batches of 5,000, as fast as
they are taken, while the API is asked for its state and for the newest sessions; and each search is done a hundred
times, with other values each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.postgres import running_postgres
from vpn.api import in_process
from vpn.data_directory import DataDirectory
from vpn.domain.session import Session, SessionIds
from vpn.domain.session_query import SessionRequest, parse_query
from vpn.house import House, build
from vpn.observation import Observation
from vpn.settings.model import DatabaseSettings, Settings
from vpn.store.sessions import Batch, SessionStore

ROWS = 1_000_000
BATCH = 5000
MORE = 100_000
TIMES = 100
TARGETS = ("/api/status", "/api/sessions/history", "/api/users")
START = 1_790_000_000.0
RATE = 2.0  # sessions in a second of the history: a million are six days

_CHOOSE = random.Random(7)
_HOSTS = [f"www.site{number}.example{number % 997}.com" for number in range(20_000)]
_ADDRESSES = [".".join(str(_CHOOSE.randrange(1, 255)) for _ in range(4)) for _ in range(20_000)]
_USERS = [f"user{number:04}" for number in range(1000)]


class Source:
    """Makes sessions up: some users and destinations have many, most have few; a few are refused."""

    def __init__(self) -> None:
        self._ids = SessionIds(0)
        self.moment = START

    def batch(self, count: int) -> list[Session]:
        """So many more."""
        return [self._session() for _ in range(count)]

    def _session(self) -> Session:
        chance = _CHOOSE.random
        self.moment += chance() * 2 / RATE
        place = int(len(_HOSTS) * chance() ** 2)
        luck = chance()
        session = Session(
            self._ids.next(self.moment),
            "main" if luck < 0.9 else "web",
            f"192.0.2.{int(250 * chance())}",
            40_000 + int(20_000 * chance()),
            self.moment,
            protocol="socks5",
            user=_USERS[int(len(_USERS) * chance() ** 2)],
            host=_HOSTS[place],
            port=443,
            address=_ADDRESSES[place],
            server_name=_HOSTS[place],
            rule="default",
            bytes_sent=int(10 ** (2 + 4 * chance())),
            bytes_received=int(10 ** (2 + 6 * chance())),
            connect_time=chance() / 10,
            first_byte_time=chance() / 10,
        )
        status = "rejected_by_acl" if luck > 0.99 else "failed" if luck > 0.97 else "closed"
        session.end(status, "eof", self.moment + 30 * chance())  # type: ignore[arg-type]
        return session


def _pick(values: list[str]) -> str:
    return values[int(len(values) * _CHOOSE.random())]


def _deep() -> SessionRequest:
    return SessionRequest(page=int(1 + 200 * _CHOOSE.random()))


SEARCHES: dict[str, Callable[[], SessionRequest]] = {
    "the newest": SessionRequest,
    "a page further down": _deep,
    "1000 at once": lambda: SessionRequest(page_size=1000),
    "the oldest": lambda: SessionRequest(sort_dir="asc"),
    "of a user": lambda: SessionRequest(user=_pick(_USERS)),
    "of the user with most": lambda: SessionRequest(user=_USERS[0]),
    "of nobody": lambda: SessionRequest(user="nobody"),
    "to a name": lambda: SessionRequest(destination=_pick(_HOSTS)),
    "to an address": lambda: SessionRequest(destination=_pick(_ADDRESSES)),
    "to a network /24": lambda: SessionRequest(destination=f"{_pick(_ADDRESSES).rpartition('.')[0]}.0/24"),
    "to a network /8": lambda: SessionRequest(destination=f"{_pick(_ADDRESSES).partition('.')[0]}.0.0.0/8"),
    "closed": lambda: SessionRequest(status="closed"),
    "failed": lambda: SessionRequest(status="failed"),
    "refused": lambda: SessionRequest(status="rejected_by_acl"),
    "active": lambda: SessionRequest(status="active"),
    "by an inbound": lambda: SessionRequest(inbound="web"),
    "by no inbound": lambda: SessionRequest(inbound="none"),
    "of the last hour": lambda: SessionRequest(hours=1),
    "of the last two days": lambda: SessionRequest(hours=48),
    "with a text, in few": lambda: SessionRequest(text=f"site{int(20_000 * _CHOOSE.random())}."),
    "with a text, in many": lambda: SessionRequest(text=f"example{int(9 * _CHOOSE.random())}"),
    "with a text, in none": lambda: SessionRequest(text="nothing like it"),
    "a user's failed": lambda: SessionRequest(user=_pick(_USERS), status="failed"),
    "a user's to a name": lambda: SessionRequest(user=_pick(_USERS), destination=_pick(_HOSTS)),
    "most received": lambda: SessionRequest(sort_by="bytes_received"),
    "most sent": lambda: SessionRequest(sort_by="bytes_sent"),
    "longest": lambda: SessionRequest(sort_by="duration_seconds"),
    "least received": lambda: SessionRequest(sort_by="bytes_received", sort_dir="asc"),
    "a user's with most received": lambda: SessionRequest(user=_pick(_USERS), sort_by="bytes_received"),
    "longest of a day": lambda: SessionRequest(hours=24, sort_by="duration_seconds"),
    "failed, longest": lambda: SessionRequest(status="failed", sort_by="duration_seconds"),
}


class Bench:
    """The floors of a daemon from the store up to the API, with nobody to serve."""

    def __init__(self, house: House) -> None:
        self._app = house.app
        self._store: SessionStore = house.writer._store
        self._source = Source()
        self._number = 0

    async def run(self, rows: int) -> None:
        """Everything."""
        gc.freeze()  # as the daemon does
        for done in range(0, rows, BATCH):
            await self._write(self._source.batch(BATCH))
            if done % 100_000 == 0:
                print(f"  {done:,} sessions …", file=sys.stderr, flush=True)
                await self._tend()
        await self._measure_writing()
        await self._tend()
        for name, make in SEARCHES.items():
            times = []
            for _ in range(TIMES):
                query = parse_query(make(), self._source.moment)
                began = time.perf_counter()
                await self._store.page(query)
                times.append(time.perf_counter() - began)
            times.sort()
            print(f"{name:30} p50 {times[TIMES // 2] * 1000:7.1f} ms   p99 {times[-2] * 1000:7.1f} ms", flush=True)

    async def _write(self, batch: list[Session]) -> None:
        self._number += 1
        await self._store.write([Batch(self._number, 8, batch)])

    async def _tend(self) -> None:
        while await self._store.tend(busy=False):
            pass

    async def _measure_writing(self) -> None:
        """Sessions stored in a second, what one costs this process, and how long the API takes meanwhile."""
        batches = [self._source.batch(BATCH) for _ in range(MORE // BATCH)]
        stop = asyncio.Event()
        answers: list[float] = []
        tasks = [asyncio.create_task(self._ask(target, answers, stop)) for target in TARGETS]
        tasks.append(asyncio.create_task(self._tend_busily(stop)))
        began, used = time.perf_counter(), time.process_time()
        for batch in batches:
            await self._write(batch)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        stop.set()
        await asyncio.gather(*tasks)
        answers.sort()
        print(
            f"stored {MORE / seconds:,.0f}/s, at {used / MORE * 1e6:.1f} µs of this process each, API included; "
            f"it answered {len(answers)} times, in p50 {answers[len(answers) // 2] * 1000:.1f} ms, "
            f"p99 {answers[len(answers) * 99 // 100] * 1000:.1f} ms"
        )

    async def _ask(self, target: str, answers: list[float], stop: asyncio.Event) -> None:
        while not stop.is_set():
            began = time.perf_counter()
            status, _ = await in_process.call(self._app, "GET", target, b"")
            assert status == 200, status
            answers.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)

    async def _tend_busily(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._store.tend(busy=True)
            await asyncio.sleep(0.1)


async def measure(url: str, rows: int, path: Path) -> None:
    """Everything, on one database; then how long a start takes."""
    settings = Settings(data_dir=path, database=DatabaseSettings(url=url))
    with DataDirectory(path, patience=1) as directory:
        async with build(settings, directory, lambda: settings, Observation(settings)) as house:
            await Bench(house).run(rows)
        began = time.perf_counter()
        async with build(settings, directory, lambda: settings, Observation(settings)) as house:
            await house.writer.open(0)
            print(f"ready with {rows + MORE:,} sessions after {time.perf_counter() - began:.2f} s")


def main() -> None:
    """Measure on both databases, or on the one that is named."""
    wanted = sys.argv[1:2] or ["sqlite", "postgresql"]
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else ROWS
    for kind in wanted:
        print(f"== {kind}")
        with contextlib.ExitStack() as stack:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
            url = "" if kind == "sqlite" else stack.enter_context(running_postgres()).new_database()
            asyncio.run(measure(url, rows, path))


if __name__ == "__main__":
    main()
