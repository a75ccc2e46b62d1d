"""What users move, from the workers' memory into the store: nothing lost, nothing twice.

Workers count in a meter (vpn.proxy.meter), a file in the data directory whose pages outlive every process that is
killed. Each second what is new in it is booked. After a crash the daemon finds the file, books what had not been
booked, which the store knows (vpn.store.usage), and begins a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from itertools import zip_longest
from pathlib import Path

import structlog

from vpn.domain.errors import Unavailable
from vpn.domain.quota import period_start
from vpn.proxy.meter import DOWN, OPENED, RESERVED, SLOTS, UP, Meter, prepare
from vpn.services.tracing import NoTracer, Tracer
from vpn.store.usage import Counted, UsageStore

QUIET = 10.0  # seconds between two lines about the same trouble
PATIENCE = 5.0  # seconds for workers of a daemon that was killed to follow it

Zones = Mapping[int, tzinfo]
"""Where users are, by their numbers; who is missing is in UTC."""


class Ledger:
    """The present meter, who is counted where in it, and how far it is booked. Close it at the end.

    Args:
        path: of the meter's file.
        clock: the present moment, with a time zone.
    """

    def __init__(
        self, path: Path, usage: UsageStore, clock: Callable[[], datetime], tracer: Tracer | None = None
    ) -> None:
        self._tracer = tracer or NoTracer()
        self._path = path
        self._usage = usage
        self._clock = clock
        self._fd = -1
        self._meter: Meter | None = None
        self._slots: dict[int, int] = {}
        self._next = 1
        self._top = 1
        """Slots that were ever in use."""
        self._reserved = {0}
        """Where there is space on the disk, in units of `RESERVED` slots."""
        self._complain_at = 0.0
        self._seen: tuple[list[int], list[int], list[int]] = ([], [], [])
        self._booked: dict[int, tuple[int, int]] = {}
        self._unbooked: set[int] = set()
        self.booking = asyncio.Lock()
        """Held while something is booked, and by who compares the store with `booked`."""

    async def open(self, workers: int, zones: Zones) -> int:
        """Book what an earlier daemon left behind, and begin a new meter; returns a descriptor for the workers.

        Raises:
            Unavailable: the file cannot be used, or the store cannot be reached; nothing is lost.
        """
        try:
            finished = await self._finish(zones)
            self._begin(workers)
        except OSError as error:
            hint = "is there space, and may we write there?"
            raise Unavailable("meter_unusable", f"{self._path}: {error.strerror}", hint) from None
        if finished:
            await self._usage.close_meter(finished)
        return os.dup(self._fd)

    @property
    def meter(self) -> Meter:
        """The memory; there is one from `open` to `close`."""
        assert self._meter is not None
        return self._meter

    @property
    def is_open(self) -> bool:
        """Whether anything is being counted."""
        return self._meter is not None

    def slot(self, number: int) -> int:
        """Where a user is counted, from now on; 0: there is no room for another user, here or on the disk."""
        slot = self._slots.get(number)
        if slot is not None:
            return slot
        taken = self.meter.number
        for _ in range(1, SLOTS):
            slot = self._next
            self._next = self._next % (SLOTS - 1) + 1
            if not taken(slot):
                if not self._reserve(slot):
                    self._next = slot
                    return 0
                self.meter.assign(slot, number, used=slot < self._top)
                self._top = max(self._top, slot + 1)
                self._slots[number] = slot
                self._booked[number] = (0, 0)
                return slot
        return 0

    def _reserve(self, slot: int) -> bool:
        """See to it that there is space for a slot."""
        if slot // RESERVED in self._reserved:
            return True
        try:
            self.meter.reserve(self._fd, slot)
        except OSError as error:
            if (now := time.monotonic()) >= self._complain_at:
                self._complain_at = now + QUIET
                log = structlog.get_logger("ledger")
                log.error("users cannot be counted, and not let in", meter=str(self._path), reason=error.strerror)
            return False
        self._reserved.add(slot // RESERVED)
        return True

    def release(self, keep: set[int]) -> None:
        """Users other than these are gone, and their connections with them."""
        for number in [number for number in self._slots if number not in keep]:
            self.meter.cells[self.meter.order(self._slots[number])] = 0
            self.meter.assign(self._slots.pop(number), 0, used=True)
            del self._booked[number]
            self._unbooked.discard(number)

    def moved(self, number: int) -> int:
        """Bytes that a user moved since the meter began."""
        slot = self._slots[number]
        return self.meter.total(slot, UP) + self.meter.total(slot, DOWN)

    def booked(self, number: int) -> int:
        """Of these, bytes that the store knows of."""
        return sum(self._booked[number])

    def look(self) -> set[int]:
        """The numbers of users who have connected or moved something since the last look."""
        meter = self.meter
        before = self._seen
        now = (meter.totals(UP, self._top), meter.totals(DOWN, self._top), meter.totals(OPENED, self._top))
        self._seen = now
        changed: set[int] = set()
        for new, old in zip(now, before, strict=True):
            if new != old:
                pairs = zip_longest(new, old, fillvalue=0)
                changed.update(slot for slot, (after, earlier) in enumerate(pairs) if after != earlier)
        numbers = {meter.number(slot) for slot in changed} - {0}
        self._unbooked |= numbers
        return numbers

    async def book(self, zones: Zones) -> None:
        """Book what was moved up to the last look.

        Raises:
            Unavailable: the store cannot be reached. It is booked later.
        """
        async with self.booking:
            numbers, self._unbooked = self._unbooked, set()
            try:
                counted = [self._counted(number, zones) for number in numbers if number in self._slots]
                if counted:
                    with self._tracer.span("usage.book", {"vpn.users": len(counted)}):
                        await self._usage.book(self.meter.generation, counted)
            except BaseException:
                self._unbooked |= numbers
                raise
            for each in counted:
                if each.user in self._slots:
                    self._booked[each.user] = (each.up, each.down)

    async def close(self, zones: Zones) -> None:
        """Workers have ended: book the rest. What cannot be booked now is at the next start."""
        if self._meter is None:
            return
        self.look()
        with contextlib.suppress(Unavailable):
            await self.book(zones)
        self._meter.close()
        self._meter = None
        os.close(self._fd)

    def _counted(self, number: int, zones: Zones) -> Counted:
        slot = self._slots[number]
        return self._entry(self.meter, slot, number, zones)

    def _entry(self, meter: Meter, slot: int, number: int, zones: Zones) -> Counted:
        now = self._clock()
        zone = zones.get(number, UTC)
        hour = period_start("hourly", now, zone)
        return Counted(number, meter.total(slot, UP), meter.total(slot, DOWN), now.astimezone(zone).date(), hour)

    async def _finish(self, zones: Zones) -> int:
        """Book what is left in the file; returns the generation of its meter, 0: there is none."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            await self._wait_for_workers(fd)
            return await self._book_file(fd, zones)
        finally:
            os.close(fd)

    async def _book_file(self, fd: int, zones: Zones) -> int:
        try:
            meter = Meter(fd)
            try:
                meter.check()
                used = (slot for slot in range(1, SLOTS) if meter.number(slot))
                left = [self._entry(meter, slot, meter.number(slot), zones) for slot in used]
                await self._usage.book(meter.generation, [each for each in left if each.up or each.down])
                return meter.generation
            finally:
                meter.close()
        except ValueError:  # empty, cut off, or something else
            aside = self._path.with_suffix(".damaged")
            self._path.rename(aside)
            log = structlog.get_logger("ledger")
            log.error("the meter is damaged: up to a second of traffic is not booked", kept=str(aside))
            return 0

    async def _wait_for_workers(self, fd: int) -> None:
        """Workers share their daemon's lock on the file, and have it until they are gone."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    message = f"{self._path}: workers of an earlier daemon are still writing to it"
                    raise Unavailable("meter_busy", message, "end them, or wait a moment") from None
                await asyncio.sleep(0.02)
            else:
                return

    def _begin(self, workers: int) -> None:
        """A new meter takes the file's place, which has one at every moment."""
        fresh = self._path.with_suffix(".new")
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            prepare(fd, workers)
            fresh.rename(self._path)
            self._meter = Meter(fd)
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
