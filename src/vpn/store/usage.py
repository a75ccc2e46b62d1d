"""What users have moved, booked exactly once.

Counts come as they stand in a meter (vpn.proxy.meter): how much in all, since the meter was made. What is new in
them is what exceeds the ledger, which is brought up to date in the same transaction. So a booking that is made
again, because nobody knew whether it had succeeded, books nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from sqlalchemy import Table, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.quota import THE_BEGINNING
from vpn.store.database import Database
from vpn.store.tables import ledger, quotas, usage

Row = dict[str, Any]

_CHUNK = 500  # rows of one statement; SQLite takes some 32,000 parameters
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Counted(msgspec.Struct, frozen=True):
    """What a meter says of a user."""

    user: int
    """The user's number."""
    up: int
    down: int
    """Bytes since the meter was made."""
    day: date
    """The day, where the user is, that what is new belongs to."""
    hour: datetime
    """The hour."""


class Quota(msgspec.Struct, frozen=True):
    """How a user's quota stands, beside the days."""

    hour: datetime = _LONG_AGO
    hour_bytes: int = 0
    """Bytes moved in this hour."""
    floor_day: date = THE_BEGINNING
    floor_bytes: int = 0
    """Days before this one, and so many bytes of it, were forgiven."""
    warned_at: datetime = _LONG_AGO
    warned: int = 0
    """In the period that began then, this percentage was warned of."""


class Day(msgspec.Struct, frozen=True):
    """What a user moved on a day."""

    day: date
    up: int
    down: int


class UsageStore:
    """Books and tells what users have moved; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    async def book(self, meter: int, counted: Sequence[Counted]) -> None:
        """Book what is new in these counts of this meter."""
        async with self._database.begin_writing() as connection:
            for start in range(0, len(counted), _CHUNK):
                await self._book(connection, meter, counted[start : start + _CHUNK])

    async def close_meter(self, meter: int) -> None:
        """Everything of this meter is booked, and it is no more."""
        async with self._database.begin_writing() as connection:
            await connection.execute(delete(ledger).where(ledger.c.meter == meter))

    async def since(self, users: Iterable[tuple[int, date]]) -> dict[int, int]:
        """Bytes of each of these users (by number) since a day of theirs, that day included."""
        wanted: dict[date, list[int]] = {}
        for user, day in users:
            wanted.setdefault(day, []).append(user)
        moved: dict[int, int] = {}
        total = func.sum(usage.c.bytes_up + usage.c.bytes_down)
        async with self._database.begin() as connection:
            for day, numbers in wanted.items():
                for start in range(0, len(numbers), _CHUNK):
                    some = numbers[start : start + _CHUNK]
                    rows = await connection.execute(
                        select(usage.c.user_id, total)
                        .where(usage.c.user_id.in_(some), usage.c.day >= day)
                        .group_by(usage.c.user_id)
                    )
                    moved.update({user: int(bytes_) for user, bytes_ in rows})
        return moved

    async def days(self, user: int, since: date) -> list[Day]:
        """A user's days since this one on which anything was moved."""
        async with self._database.begin() as connection:
            rows = await connection.execute(
                select(usage.c.day, usage.c.bytes_up, usage.c.bytes_down)
                .where(usage.c.user_id == user, usage.c.day >= since)
                .order_by(usage.c.day)
            )
            return [Day(*row) for row in rows]

    async def quotas(self) -> dict[int, Quota]:
        """How all quotas stand, by the users' numbers; who is missing is at the start."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(quotas))
            return {row.pop("user_id"): Quota(**row) for row in map(dict, rows.mappings())}

    async def set_quota(self, user: int, quota: Quota) -> None:
        """Let a user's quota stand like this."""
        async with self._database.begin_writing() as connection:
            row = msgspec.structs.asdict(quota)
            await self._put(connection, quotas, [row | {"user_id": user}], change=tuple(row))

    async def note_warnings(self, warned: Mapping[int, tuple[datetime, int]]) -> None:
        """Users (by number) were warned, in the period that began then, that this percentage is reached."""
        rows = [
            msgspec.structs.asdict(Quota(warned_at=since, warned=percent)) | {"user_id": user}
            for user, (since, percent) in warned.items()
        ]
        async with self._database.begin_writing() as connection:
            for start in range(0, len(rows), _CHUNK):
                await self._put(connection, quotas, rows[start : start + _CHUNK], change=("warned_at", "warned"))

    async def forget(self, users: Sequence[int]) -> None:
        """Sweep away what was booked for users who are no more."""
        async with self._database.begin_writing() as connection:
            for table in (usage, quotas, ledger):
                for start in range(0, len(users), _CHUNK):
                    await connection.execute(delete(table).where(table.c.user_id.in_(users[start : start + _CHUNK])))

    async def known(self) -> set[int]:
        """The numbers of all users for whom something was booked."""
        async with self._database.begin() as connection:
            return set((await connection.execute(select(usage.c.user_id).distinct())).scalars())

    async def _book(self, connection: AsyncConnection, meter: int, counted: Sequence[Counted]) -> None:
        numbers = [each.user for each in counted]
        rows = await connection.execute(
            select(ledger.c.user_id, ledger.c.bytes_up, ledger.c.bytes_down).where(
                ledger.c.meter == meter, ledger.c.user_id.in_(numbers)
            )
        )
        booked = {user: (up, down) for user, up, down in rows}
        begun = await connection.execute(select(quotas.c.user_id, quotas.c.hour).where(quotas.c.user_id.in_(numbers)))
        hours: dict[int, datetime] = {user: hour for user, hour in begun}  # noqa: C416 -- rows are no pairs to mypy
        fresh: list[Row] = []
        same_hour: list[Row] = []
        another_hour: list[Row] = []
        for each in counted:
            up, down = booked.get(each.user, (0, 0))
            new = {"user_id": each.user, "bytes_up": each.up - up, "bytes_down": each.down - down}
            moved = new["bytes_up"] + new["bytes_down"]
            if moved:
                fresh.append(new | {"day": each.day})
                hour = msgspec.structs.asdict(Quota(hour=each.hour, hour_bytes=moved)) | {"user_id": each.user}
                (same_hour if hours.get(each.user) == each.hour else another_hour).append(hour)
        both = ("bytes_up", "bytes_down")
        entries = [{"meter": meter} | {name: row[name] for name in ("user_id", *both)} for row in fresh]
        await self._put(connection, ledger, entries, add=both)
        await self._put(connection, usage, fresh, add=both)
        await self._put(connection, quotas, same_hour, add=("hour_bytes",))
        await self._put(connection, quotas, another_hour, change=("hour", "hour_bytes"))

    async def _put(
        self,
        connection: AsyncConnection,
        table: Table,
        rows: list[Row],
        *,
        add: Sequence[str] = (),
        change: Sequence[str] = (),
    ) -> None:
        """Insert rows; of those that are there already, add to some columns, and change others."""
        if rows:
            statement = self._insert(table).values(rows)
            changes: dict[str, Any] = {name: statement.excluded[name] for name in change}
            changes |= {name: table.c[name] + statement.excluded[name] for name in add}
            keys = [column.name for column in table.primary_key.columns]
            await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))
