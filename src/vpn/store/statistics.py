"""Statistics, read from the sums that are kept (vpn.store.rollups)."""

from __future__ import annotations

from typing import Literal, NamedTuple

from sqlalchemy import CTE, BigInteger, Select, cast, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.rollups import OTHERS, Kind, Sums
from vpn.domain.spans import DAY, Progress, Range, Span, ceil, cover, floor, starts, widen
from vpn.store.database import Database
from vpn.store.tables import rollup_progress, rollups

Order = Literal["sessions", "bytes"]

_COUNTS = [rollups.c[name] for name in Sums._fields]


class Subject(NamedTuple):
    """Whose sums are asked for."""

    kind: Kind = "all"
    key: str = ""


class Ranking(NamedTuple):
    """The first of a kind, and what all of that range comes to."""

    range: Range
    """What was asked for, widened to whole hours, days or months, as far as these are kept."""
    rows: list[tuple[str, Sums]]
    total: Sums


class StatisticsStore:
    """Reads sums; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def total(self, wanted: Range) -> tuple[Range, Sums]:
        """What all sessions of a range come to, and the range as it was widened."""
        async with self._database.begin_reading() as connection:
            progress = await _progress(connection)
            wide = widen(wanted, progress)
            return wide, await _total(connection, wide, progress)

    async def top(self, kind: Kind, wanted: Range, order: Order, limit: int) -> Ranking:
        """Those of a kind that come to most in a range; `OTHERS` are not among them."""
        async with self._database.begin_reading() as connection:
            progress = await _progress(connection)
            wide = widen(wanted, progress)
            parts = _parts(kind, wide, progress)
            sums = [cast(func.sum(parts.c[name]), BigInteger).label(name) for name in Sums._fields]
            added = {each.name: each for each in sums}
            most = (
                added["bytes_sent"] + added["bytes_received"]
                if order == "bytes"
                else added["closed"] + added["failed"] + added["rejected"]
            )
            rows = await connection.execute(
                select(parts.c.key, *sums)
                .where(parts.c.key != OTHERS)
                .group_by(parts.c.key)
                .order_by(most.desc(), parts.c.key)
                .limit(limit)
            )
            found = [(key, Sums(*counts)) for key, *counts in rows]
            return Ranking(wide, found, await _total(connection, wide, progress))

    async def series(self, wanted: Range, by: Span, subject: Subject) -> tuple[Range, dict[int, Sums]]:
        """The sums of each span of a range, by its beginning; where there was nothing, there is none.

        The range is widened to whole spans. Those that are not kept any more have nothing in them.
        """
        wide = Range(floor(by, wanted.first), ceil(by, wanted.end))
        mine = select(rollups.c.start, *_COUNTS).where(rollups.c.kind == subject.kind, rollups.c.key == subject.key)
        found: dict[int, Sums] = {}
        async with self._database.begin_reading() as connection:
            folded = (await _progress(connection)).folded
            # Named one by one, each is found at once; by their range, all keys between them would be read.
            whole = mine.where(rollups.c.span == by, rollups.c.start.in_(list(starts(by, wide))))
            for start, *counts in await connection.execute(whole):
                found[start] = Sums(*counts)
            if by != "hour" and folded < wide.end:
                rest = mine.where(
                    rollups.c.span == "hour",
                    rollups.c.start >= max(folded, wide.first),
                    rollups.c.start < wide.end,
                )
                for start, *counts in await connection.execute(rest):
                    at = floor(by, start)
                    found[at] = found.get(at, Sums()).plus(Sums(*counts))
        return wide, found

    async def last_seen(self, kind: Kind, wanted: Range) -> dict[str, int]:
        """When those of a kind moved something last in a range: the beginning of the hour, or, if that is more than two
        days before its end, of the day."""
        some = select(rollups.c.key, rollups.c.start).where(
            rollups.c.kind == kind, rollups.c.bytes_sent + rollups.c.bytes_received > 0, rollups.c.start < wanted.end
        )
        recent = max(floor("hour", wanted.first), floor("day", wanted.end) - 2 * DAY)
        hours = some.where(rollups.c.span == "hour", rollups.c.start >= recent)
        days = some.where(rollups.c.span == "day", rollups.c.start >= wanted.first)
        both = union_all(hours, days).cte("seen")
        async with self._database.begin_reading() as connection:
            rows = await connection.execute(select(both.c.key, func.max(both.c.start)).group_by(both.c.key))
            return {key: int(start) for key, start in rows}

    async def progress(self) -> Progress:
        """What is kept in spans of which length."""
        async with self._database.begin() as connection:
            return await _progress(connection)


async def _progress(connection: AsyncConnection) -> Progress:
    return Progress(*(await connection.execute(select(rollup_progress))).one())


async def _total(connection: AsyncConnection, wide: Range, progress: Progress) -> Sums:
    parts = _parts("all", wide, progress)
    sums = [func.coalesce(func.sum(parts.c[name]), 0) for name in Sums._fields]
    return Sums(*map(int, (await connection.execute(select(*sums))).one()))


def _parts(kind: Kind, wide: Range, progress: Progress) -> CTE:
    """The rows that make up a range."""
    pieces: list[Select[tuple[str, int]]] = [
        select(rollups.c.key, *_COUNTS).where(
            rollups.c.kind == kind, rollups.c.span == span, rollups.c.start >= first, rollups.c.start < end
        )
        for span, first, end in cover(wide, progress)
    ]
    return union_all(*pieces).cte("parts")
