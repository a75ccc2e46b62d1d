"""Single values about the database itself."""

from __future__ import annotations

from sqlalchemy import insert, select

from vpn.store.database import Database
from vpn.store.tables import facts


class FactStore:
    """Facts by name. A fact is written once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> bytes | None:
        """The value of a fact, or None."""
        async with self._database.begin() as connection:
            return (await connection.execute(select(facts.c.value).where(facts.c.name == name))).scalar()

    async def put(self, name: str, value: bytes) -> None:
        """Write a fact that is not there yet."""
        async with self._database.begin_writing() as connection:
            await connection.execute(insert(facts).values(name=name, value=value))
