"""Whether the daemon can do its work, part by part."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec

from vpn.domain.errors import Unavailable
from vpn.domain.units import rounded_size
from vpn.proxy.supervisor import Supervisor

FRESH = 1.0  # seconds that a look serves for everybody who asks
PATIENCE = 1.0  # seconds that a part has to answer
GLANCE = 0.2  # seconds that the liveness check waits for a look that is under way

State = Literal["ok", "failed", "unknown"]


class Part(msgspec.Struct, frozen=True):
    """How one part is. What is said of it is for everybody: it tells no secrets."""

    state: State
    detail: str


Parts = dict[str, Part]
Check = Callable[[], Awaitable[Part]]


class Health:
    """Looks after the parts, at most once a second, however many ask.

    Args:
        ask_database: one cheap query; raises Unavailable.
        directory: the data directory.
        min_free: bytes that have to be free there.
        clock: seconds, never set back.
    """

    def __init__(
        self, ask_database: Callable[[], Awaitable[object]], directory: Path, min_free: int, clock: Callable[[], float]
    ) -> None:
        self._ask_database = ask_database
        self._directory = directory
        self._min_free = min_free
        self._clock = clock
        self._supervisor: Supervisor | None = None
        self._checks: dict[str, Check] = {
            "workers": self._workers,
            "database": self._database,
            "disk": self._disk,
        }
        self._asked: asyncio.Task[object] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked = -FRESH
        self._parts: Parts = {name: Part("unknown", "not looked at yet") for name in self._checks}

    def run(self, supervisor: Supervisor) -> None:
        """These workers serve, from now on."""
        self._supervisor = supervisor

    def look_after(self, name: str, check: Check) -> None:
        """There is one part more."""
        self._checks[name] = check

    async def parts(self) -> Parts:
        """How all parts are, at most a second ago."""
        await asyncio.shield(self._look())
        return self._parts

    async def glance(self) -> Parts:
        """The same, without waiting long: rather as they were known to be before."""
        looking = self._look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GLANCE):
                await asyncio.shield(looking)
        return self._parts

    async def close(self) -> None:
        """Stop looking."""
        for task in (self._looking, self._asked):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    def _look(self) -> asyncio.Task[None]:
        if self._looking is None or (self._looking.done() and self._clock() - self._looked >= FRESH):
            self._looking = asyncio.create_task(self._look_now())
        return self._looking

    async def _look_now(self) -> None:
        states = await asyncio.gather(*(check() for check in self._checks.values()))
        self._parts = dict(zip(self._checks, states, strict=True))
        self._looked = self._clock()

    async def _workers(self) -> Part:
        if self._supervisor is None:
            return Part("failed", "nothing is served")
        awake = await self._supervisor.awake(PATIENCE)
        workers = self._supervisor.status()
        serving = sum(1 for each in workers if each.ready and each.number in awake)
        return Part("ok" if serving == len(workers) else "failed", f"{serving} of {len(workers)} serving")

    async def _database(self) -> Part:
        # A question that is not answered goes on: there is never more than one.
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._ask_database())
        await asyncio.wait([self._asked], timeout=PATIENCE)
        if not self._asked.done():
            return Part("failed", "does not answer")
        asked, self._asked = self._asked, None
        try:
            await asked
        except Unavailable as error:
            return Part("failed", error.code.replace("_", " "))
        return Part("ok", "answers")

    async def _disk(self) -> Part:
        try:
            found = await asyncio.to_thread(os.statvfs, self._directory)
        except OSError as error:
            return Part("failed", error.strerror or "cannot be read")
        free = found.f_bavail * found.f_frsize
        return Part("ok" if free >= self._min_free else "failed", f"{rounded_size(free)} free")


def well(parts: Parts) -> bool:
    """Whether all parts are."""
    return all(part.state == "ok" for part in parts.values())
