"""The inbounds that were added by commands, in the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.store.database import Database
from vpn.store.sealed import owner_of_inbound
from vpn.store.tables import inbounds, secrets

Also = Callable[[AsyncConnection], Awaitable[None]]
"""What is done in the same transaction."""


class StoredInbound(NamedTuple):
    """An inbound as it is kept."""

    name: str
    document: str
    """Its settings, in JSON."""
    created_at: datetime
    updated_at: datetime


class InboundStore:
    """Reads and writes managed inbounds; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[StoredInbound]:
        """Every one, the oldest first."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(inbounds).order_by(inbounds.c.created_at, inbounds.c.name))
            return [StoredInbound(**row) for row in rows.mappings()]

    async def put(self, name: str, document: str, now: datetime, also: Also | None = None) -> None:
        """Store an inbound, in the place of an earlier one of the name; and something else, or neither.

        Raises:
            What `also` raises.
        """
        changed = update(inbounds).where(inbounds.c.name == name).values(document=document, updated_at=now)
        async with self._database.begin_writing() as connection:
            if not (await connection.execute(changed)).rowcount:
                row = {"name": name, "document": document, "created_at": now, "updated_at": now}
                await connection.execute(insert(inbounds).values(row))
            if also is not None:
                await also(connection)

    async def remove(self, name: str) -> None:
        """Forget an inbound, and its secrets."""
        async with self._database.begin_writing() as connection:
            await connection.execute(delete(inbounds).where(inbounds.c.name == name))
            await connection.execute(delete(secrets).where(secrets.c.owner == owner_of_inbound(name)))
