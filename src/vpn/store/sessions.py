"""Sessions that ended, and how far live ones have come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vpn.domain.address import pack
from vpn.domain.session import Session
from vpn.store.database import Database
from vpn.store.tables import journals, sessions

_CHUNK = 500


class Batch(msgspec.Struct, frozen=True):
    """What was read from one journal, up to a position."""

    journal: int
    """Its generation."""
    end: int
    sessions: list[Session]


class SessionStore:
    """Writes and tells sessions; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    async def write(self, batches: Sequence[Batch]) -> None:
        """Store sessions that ended; batches that were stored before are left out.

        Raises:
            Unavailable: the store cannot be reached. Whether it was written is not known: write the same again.
        """
        async with self._database.begin_writing() as connection:
            for batch in batches:
                done = await connection.scalar(select(journals.c.position).where(journals.c.journal == batch.journal))
                if done is not None and done >= batch.end:
                    continue
                for start in range(0, len(batch.sessions), _CHUNK):
                    await self._put(connection, batch.sessions[start : start + _CHUNK])
                row = {"journal": batch.journal, "position": batch.end}
                statement = self._insert(journals).values(row)
                await connection.execute(
                    statement.on_conflict_do_update(index_elements=["journal"], set_={"position": batch.end})
                )

    async def checkpoint(self, live: Sequence[Session]) -> None:
        """Store how far live sessions have come."""
        async with self._database.begin_writing() as connection:
            for start in range(0, len(live), _CHUNK):
                await self._put(connection, live[start : start + _CHUNK])

    async def close_active(self, reason: str, now: float) -> None:
        """Nothing is live any more: close what is stored as such."""
        async with self._database.begin_writing() as connection:
            await connection.execute(
                update(sessions)
                .where(sessions.c.status == "active")
                .values(status="closed", reason=reason, ended=now, duration=now - sessions.c.started)
            )

    async def position(self, journal: int) -> int:
        """How far a journal has been stored."""
        async with self._database.begin() as connection:
            found = await connection.scalar(select(journals.c.position).where(journals.c.journal == journal))
            return int(found or 0)

    async def forget(self, journal: int) -> None:
        """A journal is stored to its end, and is no more."""
        async with self._database.begin_writing() as connection:
            await connection.execute(delete(journals).where(journals.c.journal == journal))

    async def get(self, number: int) -> Session | None:
        """One session."""
        async with self._database.begin() as connection:
            row = (await connection.execute(select(sessions).where(sessions.c.id == number))).mappings().first()
            return None if row is None else _session(dict(row))

    async def _put(self, connection: Any, some: Sequence[Session]) -> None:
        statement = self._insert(sessions).values([_row(each) for each in some])
        changes = {column.name: statement.excluded[column.name] for column in sessions.c if column.name != "id"}
        await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changes))


_FIELDS = [name for name in Session.__struct_fields__ if name != "phases"]


def _row(session: Session) -> dict[str, Any]:
    row = {name: getattr(session, name) for name in _FIELDS}
    duration = max(0.0, session.ended - session.started) if session.ended else 0.0
    packed = pack(session.address or session.host)
    return row | {"duration": duration, "address_key": packed}


def _session(row: dict[str, Any]) -> Session:
    return Session(**{name: row[name] for name in _FIELDS})
