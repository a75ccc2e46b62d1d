"""How quick statistics are when there is a year of them: ``python -m bench.rollups``.

A year of sums with 1,000 users, 5 inbounds and 1,000 destinations in each hour, day and month, on SQLite and on the
PostgreSQL of the tests. It prints how long each statistic of a day and of a year takes, through the service,
and what adding sessions costs.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import URL, insert, text, update

from tests.support.postgres import running_postgres
from vpn.domain.rollups import KINDS, Kind, Stored, tally
from vpn.domain.session import Session
from vpn.domain.spans import DAY, HOUR, Range, Span, floor, starts
from vpn.services.live_sessions import LiveSessions
from vpn.services.statistics import StatisticsService
from vpn.services.unstored import Unstored
from vpn.settings.statistics import StatisticsSettings
from vpn.store.database import Database, sqlite_url
from vpn.store.rollups import Rollups
from vpn.store.sessions import SessionStore
from vpn.store.statistics import StatisticsStore, Subject
from vpn.store.tables import rollup_progress, rollups

NOW = 1_795_300_000  # an afternoon in November 2026
HOURS_KEPT, DAYS_KEPT = 35, 400
USERS, INBOUNDS, DESTINATIONS = 1000, 5, 1000
NAMES = 3000  # destinations that there are; of these so many as are kept have been visited in each span
BATCH = 5000
TARGET = 50.0  # milliseconds
KEYS: dict[Kind, int] = {"all": 1, "user": USERS, "inbound": INBOUNDS, "protocol": 3, "reason": 8}


def keys(kind: Kind) -> list[str]:
    if kind == "all":
        return [""]
    if kind == "destination":
        return [f"host-{number}.example.com" for number in random.sample(range(NAMES), DESTINATIONS)]
    return [f"{kind}-{number}" for number in range(KEYS[kind])]


async def fill(database: Database) -> int:
    """A year of sums; returns how many rows."""
    hour = floor("hour", NOW)
    hours_from, days_from = floor("day", NOW - HOURS_KEPT * DAY), floor("month", NOW - DAYS_KEPT * DAY)
    spans: list[tuple[Span, int]] = [("hour", hours_from), ("day", days_from), ("month", days_from)]
    count, columns = 0, rollups.columns.keys()
    for span, first in spans:
        for start in starts(span, Range(first, NOW)):
            rows = [
                dict(zip(columns, (kind, span, start, key, *random.choices(range(10**6), k=6)), strict=True))
                for kind in KINDS
                for key in keys(kind)
            ]
            async with database.begin_writing() as connection:
                await connection.execute(insert(rollups), rows)
            count += len(rows)
    async with database.begin_writing() as connection:
        progress = {"folded": hour, "hours_from": hours_from, "days_from": days_from}
        await connection.execute(update(rollup_progress).values(progress))
        await connection.execute(text("ANALYZE"))
    return count


async def measure(what: Callable[[], Awaitable[object]], times: int) -> tuple[float, float]:
    """Half of them, and all but one of a hundred, take no longer; milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await what()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), sorted(taken)[min(len(taken) - 1, int(len(taken) * 0.99))]


def statistics_of(service: StatisticsService) -> dict[str, Callable[[Range], Awaitable[object]]]:
    return {
        "totals": service.totals,
        "traffic": service.series,
        "traffic of a user": lambda asked: service.series(asked, None, Subject("user", "user-7")),
        "top users": lambda asked: service.top("user", asked, "bytes", 10),
        "top destinations": lambda asked: service.top("destination", asked, "bytes", 10),
        "1,000 destinations by sessions": lambda asked: service.top("destination", asked, "sessions", 1000),
        "inbounds": lambda asked: service.top("inbound", asked, "bytes", 10),
        "reasons": lambda asked: service.top("reason", asked, "sessions", 10),
    }


async def read(service: StatisticsService, times: int) -> bool:
    good = True
    print("| statistic | a day, p50 / p99 ms | a month | a year |\n|---|---|---|---|")
    for name, ask in statistics_of(service).items():
        cells = []
        for days in (1, 30, 365):
            half, most = await measure(lambda ask=ask, days=days: ask(Range(NOW - days * DAY, NOW)), times)
            good = good and most < TARGET
            cells.append(f"{half:.1f} / {most:.1f}")
        print(f"| {name} | {' | '.join(cells)} |")
    return good


def batch(number: int, *, flood: bool) -> list[Stored]:
    """Sessions of all users, to few destinations often and to many seldom; in a flood, to each once."""
    some = []
    for place in range(BATCH):
        host = f"{number}-{place}.example" if flood else f"host-{int(random.paretovariate(0.7)) % 5000}.example.com"
        user = f"user-{random.randrange(USERS)}"
        ended = NOW + number / 4
        session = Session(
            place + 1, "main", "192.0.2.1", 4711, ended - 1, "socks5", user, host, 443, status="closed", reason="eof"
        )
        session.ended = ended
        some.append(Stored(session, 1000, 20_000))
    return some


async def write(database: Database, store: Rollups, times: int) -> None:
    for flood in (False, True):
        batches = [batch(number, flood=flood) for number in range(times)]
        keys = len(tally(batches[0], NOW)[floor("hour", NOW)]["destination"])
        given = iter(batches)

        async def add(given=given) -> None:
            async with database.begin_writing() as connection:
                await store.add(connection, next(given))

        half, most = await measure(add, times)
        began = time.perf_counter()
        for some in batches:
            tally(some, NOW)
        added_up = (time.perf_counter() - began) / times / BATCH * 1e6
        print(
            f"{'a flood of names' if flood else 'usual'} ({keys:,} destinations in a batch of {BATCH:,}): "
            f"{half / BATCH * 1000:.1f} µs a session (p99 {most / BATCH * 1000:.1f}), of which {added_up:.1f} adding up"
        )


async def run(url: str | URL, name: str, times: int) -> bool:
    random.seed(7)
    database = Database(url)
    try:
        await database.migrate()
        began = time.perf_counter()
        rows = await fill(database)
        print(f"\n## {name}: {rows:,} rows, filled in {time.perf_counter() - began:.0f} s\n")
        most: dict[Kind, int] = {"user": 10_000, "destination": DESTINATIONS}
        moments = [float(NOW)]
        store = Rollups(database, most, lambda: moments[0])
        service = StatisticsService(
            StatisticsStore(database),
            store,
            Unstored(LiveSessions(), SessionStore(database)),
            StatisticsSettings(),
            lambda: moments[0],
        )
        good = await read(service, times)
        print()
        await write(database, store, times)
        moments[0] = NOW + HOUR
        fold, _ = await measure(store.fold, 1)
        print(f"an hour put together into its day and month: {fold:.0f} ms")
        return good
    finally:
        await database.close()


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(prog="python -m bench.rollups", description=__doc__)
    parser.add_argument("--times", type=int, default=50, metavar="N", help="that each is asked; default 50")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "vpn.db"
        good = asyncio.run(run(sqlite_url(path), "SQLite", times))
        print(f"on disk: {path.stat().st_size / 1e6:.0f} MB")
    with running_postgres() as server:
        good = asyncio.run(run(server.new_database(), "PostgreSQL", times)) and good
    sys.exit(0 if good else f"not all below {TARGET:.0f} ms")


if __name__ == "__main__":
    main()
