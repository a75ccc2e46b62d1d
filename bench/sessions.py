"""How fast sessions are stored and found: ``python -m bench.sessions [sqlite|postgresql] [rows]``.

A million sessions are stored as the daemon does it. Then a hundred thousand more are, in batches of 5,000, as fast as
they are taken, while the turns of the event loop are timed; and each search is done a hundred times, with other values
each time.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.postgres import running_postgres
from vpn.domain.session import Session, SessionIds
from vpn.domain.session_query import SessionRequest, parse_query
from vpn.store.database import Database, sqlite_url
from vpn.store.sessions import Batch, SessionStore

ROWS = 1_000_000
BATCH = 5000
MORE = 100_000
TIMES = 100
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


async def measure(url: str, rows: int) -> None:
    """Everything, on one database."""
    database = Database(url)
    await database.migrate()
    store = SessionStore(database)
    source = Source()
    number = 0

    async def write(batch: list[Session]) -> None:
        nonlocal number
        number += 1
        await store.write([Batch(number, 8, batch)])

    for done in range(0, rows, BATCH):
        await write(source.batch(BATCH))
        if done % 100_000 == 0:
            print(f"  {done:,} sessions …", file=sys.stderr, flush=True)
            while await store.tend(busy=False):
                pass
    began = time.perf_counter()
    again = SessionStore(database)
    await again.close_active("daemon_died", source.moment)
    print(f"ready with {rows:,} sessions after {time.perf_counter() - began:.3f} s")
    await _measure_writing(store, source, write)
    while await store.tend(busy=False):
        pass
    for name, make in SEARCHES.items():
        times = []
        for _ in range(TIMES):
            query = parse_query(make(), source.moment)
            began = time.perf_counter()
            await store.page(query)
            times.append(time.perf_counter() - began)
        times.sort()
        print(f"{name:30} p50 {times[TIMES // 2] * 1000:7.1f} ms   p99 {times[-2] * 1000:7.1f} ms", flush=True)
    await database.close()


async def _measure_writing(
    store: SessionStore, source: Source, write: Callable[[list[Session]], asyncio.Future[None]]
) -> None:
    """Rows in a second, what a row costs this process, and how late the loop is, whose turn the API needs."""
    batches = [source.batch(BATCH) for _ in range(MORE // BATCH)]
    late: list[float] = []
    stop = asyncio.Event()

    async def watch() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - began - 0.002)

    async def tend() -> None:
        while not stop.is_set():
            await store.tend(busy=True)
            await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(watch()), asyncio.create_task(tend())]
    began, used = time.perf_counter(), time.process_time()
    for batch in batches:
        await write(batch)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    stop.set()
    await asyncio.gather(*tasks)
    late.sort()
    print(
        f"stored {MORE / seconds:,.0f} sessions/s, {used / MORE * 1e6:.1f} µs of the daemon each; "
        f"the loop's turns came late by {late[len(late) * 99 // 100] * 1000:.1f} ms (p99)"
    )


def main() -> None:
    """Measure on both databases, or on the one that is named."""
    wanted = sys.argv[1:2] or ["sqlite", "postgresql"]
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else ROWS
    for kind in wanted:
        print(f"== {kind}")
        if kind == "sqlite":
            with tempfile.TemporaryDirectory() as directory:
                asyncio.run(measure(str(sqlite_url(Path(directory) / "vpn.db")), rows))
        else:
            with running_postgres() as server:
                asyncio.run(measure(server.new_database(), rows))


if __name__ == "__main__":
    main()
