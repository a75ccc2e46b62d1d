"""What sessions come to, added up as they are stored, and put together into days and months."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.rollups import KINDS, Kind, Stored, Table, lump, merge, tally
from vpn.domain.spans import DAY, Progress, Range, Span, after, floor, starts
from vpn.store import rollup_statements as statements
from vpn.store.database import Database
from vpn.store.tables import rollup_progress

SETTLE = 120  # seconds after an hour until most of its sessions are stored

_Row = tuple[str, str, int, str, int, int, int, int, int, int]


class Rollups:
    """Adds to the sums, and folds hours into days and months.

    Args:
        most: how many keys of a kind are kept apart in each span, at least; twice as many are there at times. What
            is beyond is kept together as `OTHERS`. Kinds that are not named have no bound.
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, most: dict[Kind, int], clock: Callable[[], float]) -> None:
        self._database = database
        self._most = most
        self._clock = clock

    async def add(self, connection: AsyncConnection, stored: Sequence[Stored]) -> None:
        """Add sessions to the sums of their hours, in the transaction that stores them.

        It is one that writes (`Database.begin_writing`).
        """
        hours = tally(stored, self._clock())
        if not hours:
            return
        # Nothing is folded until this is committed.
        locked = select(rollup_progress.c.folded).with_for_update(read=True)
        folded = int((await connection.execute(locked)).scalar_one())
        added: dict[tuple[Kind, Span, int], Table] = {}
        for hour, tables in hours.items():
            # Hours that were folded before have their days and months told as well.
            spans: tuple[Span, ...] = ("hour",) if hour >= folded else ("hour", "day", "month")
            for kind, table in tables.items():
                few = await self._bounded(connection, kind, hour, table)
                for span in spans:
                    merge(added.setdefault((kind, span, floor(span, hour)), {}), few)
        await self._put(connection, [(*at, key, *sums) for at, table in added.items() for key, sums in table.items()])
        for at in added:
            await self._trim(connection, *at)

    async def fold(self) -> bool:
        """Add hours that are over to their days and months, those of one day at most; whether there were any.

        Where the clock was wrong, hours of fifty years ago may be among them, and many days between: others that
        write wait for one of these only.
        """
        async with self._database.begin_writing() as connection:
            locked = await connection.execute(select(rollup_progress).with_for_update())
            folded = Progress(*locked.one()).folded
            end = floor("hour", int(self._clock()) - SETTLE)
            if end <= folded:
                return False
            first = await connection.scalar(statements.OLDEST, {"kind": "all", "span": "hour", "since": folded})
            if first is not None and first < end:
                first = int(first)
                end = min(end, after("day", floor("day", first)))
                await self._fold(connection, Range(first, end))
            await connection.execute(update(rollup_progress).values(folded=end))
            return True

    async def forget(self, hours_kept: int, days_kept: int) -> None:
        """Do without the hours and days that are older than so many days, from now on. `sweep` removes them."""
        async with self._database.begin_writing() as connection:
            progress = Progress(*(await connection.execute(select(rollup_progress).with_for_update())).one())
            now = int(self._clock())
            hours_from = floor("day", max(0, min(now - hours_kept * DAY, progress.folded)))
            days_from = floor("month", max(0, min(now - max(days_kept, hours_kept) * DAY, progress.folded)))
            await connection.execute(
                update(rollup_progress).values(
                    hours_from=max(hours_from, progress.hours_from), days_from=max(days_from, progress.days_from)
                )
            )

    async def sweep(self) -> bool:
        """Remove some of the rows that are not kept any more; whether there were any."""
        async with self._database.begin_writing() as connection:
            progress = Progress(*(await connection.execute(select(rollup_progress))).one())
            for kind in KINDS:
                for span, kept_from in (("hour", progress.hours_from), ("day", progress.days_from)):
                    start = await connection.scalar(statements.OLDEST, {"kind": kind, "span": span, "since": 0})
                    if start is not None and start < kept_from:
                        await connection.execute(statements.DELETE, {"kind": kind, "span": span, "start": start})
                        return True
        return False

    async def _fold(self, connection: AsyncConnection, hours: Range) -> None:
        for span in ("day", "month"):
            for start in starts(span, hours):
                within = {"first": max(start, hours.first), "end": min(after(span, start), hours.end)}
                await connection.execute(statements.FOLD, within | {"into": span, "start": start})
                for kind in self._most:
                    await self._trim(connection, kind, span, start)

    async def _bounded(self, connection: AsyncConnection, kind: Kind, hour: int, table: Table) -> Table:
        """A table with no more new keys than are ever kept apart: who makes up names by the million gets nowhere."""
        most = self._most.get(kind, len(table))
        if len(table) <= most:
            return table
        known = await connection.execute(statements.KEYS, {"kind": kind, "span": "hour", "start": hour})
        return lump(table, known.scalars(), most)

    async def _trim(self, connection: AsyncConnection, kind: Kind, span: Span, start: int) -> None:
        if kind not in self._most:
            return
        most = self._most[kind]
        which = {"kind": kind, "span": span, "start": start}
        if int(await connection.scalar(statements.COUNT, which) or 0) > 2 * most:
            light = which | {"most": most}
            await connection.execute(statements.LUMP, light)
            await connection.execute(statements.DELETE_LIGHT, light)

    async def _put(self, connection: AsyncConnection, rows: list[_Row]) -> None:
        rows.sort()  # the index is written in its order
        if self._database.is_sqlite:
            await connection.exec_driver_sql(statements.PUT_SQLITE, rows)
        else:
            await connection.exec_driver_sql(statements.PUT_POSTGRESQL, tuple(map(list, zip(*rows, strict=True))))
