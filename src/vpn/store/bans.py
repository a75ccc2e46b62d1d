"""The bans in the database, where they outlive a restart."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import and_, delete, insert, or_, select

from vpn.domain.bans import Ban, Subject
from vpn.store.database import Database
from vpn.store.tables import bans

_AT_ONCE = 100  # conditions in one statement


class BanStore:
    """Reads and writes bans; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Ban]:
        """Every ban, those that have ended meanwhile included."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(bans))
            return [Ban(**{**row, "exempt": tuple(row["exempt"])}) for row in rows.mappings()]

    async def write(self, kept: Collection[Ban], removed: Collection[Subject] = ()) -> None:
        """Store these bans, in the place of earlier ones of the same subjects, and remove those of others."""
        gone = [(ban.kind, ban.subject) for ban in kept] + list(removed)
        async with self._database.begin_writing() as connection:
            for at in range(0, len(gone), _AT_ONCE):
                same = [and_(bans.c.kind == kind, bans.c.subject == it) for kind, it in gone[at : at + _AT_ONCE]]
                await connection.execute(delete(bans).where(or_(*same)))
            if kept:
                await connection.execute(insert(bans), [msgspec.structs.asdict(ban) for ban in kept])
