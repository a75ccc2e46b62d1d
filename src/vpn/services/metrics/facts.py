"""What cannot be known without asking: the store, the disk, certificate files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from vpn.domain.errors import Unavailable
from vpn.domain.inbound import Inbound
from vpn.services.metrics.certificates import Certificates
from vpn.store.database import Database
from vpn.store.groups import GroupStore
from vpn.store.users import UserStore

FRESH = 10.0  # seconds for which an answer is good
PATIENCE = 1.0  # seconds to wait for one; a database that is away must not keep the other figures from being seen


class Facts(msgspec.Struct, frozen=True):
    """What was found out; None: it could not be."""

    users: int | None = None
    groups: int | None = None
    database_size: int | None = None
    """Bytes."""
    disk_free: int | None = None
    """Bytes, where the data directory lies."""
    expiries: Mapping[str, float] = {}
    """When certificates end, in seconds since 1970, by inbound."""


class FactFinder:
    """Asks, at most every `FRESH` seconds, and only when somebody wants to know.

    Args:
        inbounds: what is served.
    """

    def __init__(self, database: Database, data_dir: Path, inbounds: Callable[[], Sequence[Inbound]]) -> None:
        self._database = database
        self._users = UserStore(database)
        self._groups = GroupStore(database)
        self._data_dir = data_dir
        self._inbounds = inbounds
        self._certificates = Certificates()
        self._facts = Facts()
        self._asked = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("metrics")

    async def find(self) -> Facts:
        """What there is to know, at most `FRESH` seconds old; where that takes too long, what is known so far."""
        now = asyncio.get_running_loop().time()
        if self._asking is None and now - self._asked >= FRESH:
            self._asked = now
            self._asking = asyncio.create_task(self._ask())
        asking = self._asking
        if asking is not None:
            await asyncio.wait([asking], timeout=PATIENCE)
            if asking.done():
                self._asking = None
        return self._facts

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
            self._asking = None

    async def _ask(self) -> None:
        # What needs no store is told even if the store hangs.
        found = self._facts = Facts(
            disk_free=await asyncio.to_thread(self._free),
            expiries=await asyncio.to_thread(self._certificates.expiries, self._inbounds()),
        )
        try:
            _, users = await self._users.page(offset=0, limit=1)
            _, groups = await self._groups.page(offset=0, limit=1)
            size = await self._database.size()
        except Unavailable as error:
            self._log.warning("the store does not say how large it is", reason=error.message)
        else:
            self._facts = msgspec.structs.replace(found, users=users, groups=groups, database_size=size)

    def _free(self) -> int | None:
        try:
            disk = os.statvfs(self._data_dir)
        except OSError as error:
            self._log.warning("the disk does not say how full it is", reason=error.strerror)
            return None
        return disk.f_bavail * disk.f_frsize
