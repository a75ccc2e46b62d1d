"""Users as one worker counts them: what each has open, from where, and how much has gone through.

A place is taken first and counted then, as in vpn.proxy.limits: two workers that take the last one at the same
moment may both give it back, but never both keep it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import lru_cache

from vpn.domain.address import pack
from vpn.domain.network import any_holds, parse_networks
from vpn.domain.user import canonical
from vpn.proxy.control import NO_SNAPSHOT_LIMITS, SnapshotUser
from vpn.proxy.meter import (
    CONNECTIONS,
    DEVICES,
    DOWN,
    HUNGRY_DOWN,
    HUNGRY_UP,
    LINE,
    OPENED,
    RATE_DOWN,
    RATE_UP,
    SLOTS,
    SPENT_DOWN,
    SPENT_UP,
    STOP,
    UP,
    Meter,
)
from vpn.proxy.shaping import Lane, Lanes

PLENTY = 1 << 40
"""Bytes: what may be moved where nothing says how much."""
_STEP = 512 * 1024  # bytes that all workers together may be moving while a quota ends
_FAR = 7  # before that, this power of two less than what is left
_V4_MAPPED = bytes(10) + b"\xff\xff"


class Account:
    """One user in this worker."""

    __slots__ = (
        "_connections",
        "_devices",
        "_fence",
        "_lease",
        "_leased_from",
        "_moved",
        "_opened",
        "_opened_seen",
        "_places",
        "_refilled",
        "_sources",
        "_stop",
        "_tokens",
        "_told_apart",
        "_union",
        "_workers",
        "blocked",
        "cells",
        "down",
        "limits",
        "name",
        "own",
        "slot",
        "up",
    )

    def __init__(self, meter: Meter, worker: int, name: str, slot: int, fence: threading.Lock, lanes: Lanes) -> None:
        workers = range(meter.workers)
        self.name = name
        self.slot = slot
        self.cells = meter.cells
        self.own = meter.count(worker, slot)
        """The first of this worker's cells (vpn.proxy.meter)."""
        own, order = self.own, meter.order(slot)
        self.up = Lane(lanes, order + RATE_UP, order + SPENT_UP, own + UP, own + HUNGRY_UP)
        """Counts what the user sends, and says how much more may go."""
        self.down = Lane(lanes, order + RATE_DOWN, order + SPENT_DOWN, own + DOWN, own + HUNGRY_DOWN)
        self.blocked = ""
        """Why the user may not connect; empty: the user may."""
        self.limits = NO_SNAPSHOT_LIMITS
        self._sources = parse_networks(())
        self._fence = fence
        self._connections = range(meter.count(0, slot) + CONNECTIONS, meter.count(len(workers), slot), SLOTS * LINE)
        self._opened = range(meter.count(0, slot) + OPENED, meter.count(len(workers), slot), SLOTS * LINE)
        self._moved = tuple(meter.count(each, slot) + what for each in workers for what in (UP, DOWN))
        self._stop = meter.order(slot) + STOP
        self._lease = 0
        self._leased_from = 0
        self._workers = len(workers)
        self._devices = meter.devices(worker, slot)
        self._union = tuple(meter.devices(each, slot) for each in workers)
        self._places: dict[int, int] = {}  # connections by source
        self._told_apart = False
        self._tokens = 0.0
        self._refilled = 0.0
        self._opened_seen = 0

    def amend(self, user: SnapshotUser | None) -> None:
        """What holds for the user from now on; None: it is nobody of ours."""
        self.blocked = user.blocked if user is not None else ""
        limits = user.limits if user is not None else NO_SNAPSHOT_LIMITS
        if limits.sources != self.limits.sources:
            self._sources = parse_networks(limits.sources)
        if limits.burst != self.limits.burst:
            self.up.set_burst(limits.burst)
            self.down.set_burst(limits.burst)
        if limits.connection_rate != self.limits.connection_rate:
            self._tokens = limits.connection_rate
            self._opened_seen = sum([self.cells[cell] for cell in self._opened])
        if bool(limits.max_devices) != self._told_apart:
            self._tell_apart(bool(limits.max_devices))
        self.limits = limits

    def enter(self, source: int, packed: bytes | None, inbound: str, now: float) -> str:
        """Take a place for a connection from this source; why there is none, or nothing if `leave` is to follow."""
        limits = self.limits
        why = ""
        self.cells[self.own + CONNECTIONS] += 1
        self.cells[self.own + OPENED] += 1
        before = self._places.get(source, 0)
        self._places[source] = before + 1
        if self._told_apart and not before:
            self._mark(0, source)
        if limits is not NO_SNAPSHOT_LIMITS:
            # What we wrote must be seen by the other cores before we read what they wrote.
            with self._fence:
                pass
            why = self._refused(packed, inbound, now)
        if why:
            self.leave(source)
            self.cells[self.own + OPENED] -= 1
        return why

    def leave(self, source: int) -> None:
        """A connection is gone."""
        self.cells[self.own + CONNECTIONS] -= 1
        left = self._places[source] - 1
        if left:
            self._places[source] = left
        else:
            del self._places[source]
            if self._told_apart:
                self._mark(source, 0)

    def unwelcome(self, packed: bytes | None, inbound: str) -> str:
        """Why the user may not come from this address (None: it has none), or by this inbound; empty: both are well."""
        if self._sources and (packed is None or not any_holds(self._sources, packed)):
            return "source_not_allowed"
        if self.limits.inbounds and inbound not in self.limits.inbounds:
            return "inbound_not_allowed"
        return ""

    @property
    def idle(self) -> bool:
        """Whether the user has no connection here."""
        return not self._places

    @property
    def used_up(self) -> bool:
        """Whether the quota has ended; of what `budget` has granted some may not have been moved yet."""
        stop = self.cells[self._stop]
        return bool(stop) and sum([self.cells[cell] for cell in self._moved]) >= stop

    def budget(self) -> int:
        """Bytes that may be moved until the quota ends, or until this is to be asked again; 0: it has ended."""
        cells = self.cells
        stop = cells[self._stop]
        if not stop:
            return PLENTY
        own = cells[self.own + UP] + cells[self.own + DOWN]
        if own < self._lease and stop == self._leased_from:
            return self._lease - own
        left = stop - sum([cells[cell] for cell in self._moved])
        if left <= 0:
            return left
        # Others move bytes meanwhile, perhaps all the rest before we come to it: so what all of them may be moving
        # together is little, or a small part of what is left.
        budget = max(1, min(left, max(_STEP, left >> _FAR)) // self._workers)
        # A little of it is ours to keep, so that small amounts need not be asked for one by one.
        self._lease = own + min(budget, _STEP // self._workers)
        self._leased_from = stop
        return budget

    def _refused(self, packed: bytes | None, inbound: str, now: float) -> str:
        limits, cells = self.limits, self.cells
        if why := self.unwelcome(packed, inbound):
            return why
        if limits.max_connections and sum([cells[cell] for cell in self._connections]) > limits.max_connections:
            return "too_many_connections_of_user"
        if limits.max_devices and self._distinct() > limits.max_devices:
            return "too_many_devices"
        if limits.connection_rate and not self._take_token(limits.connection_rate, now):
            return "too_many_new_connections"
        return ""

    def _take_token(self, rate: int, now: float) -> bool:
        """A bucket that every worker fills alike, and from which it takes what all have taken."""
        opened = sum([self.cells[cell] for cell in self._opened])
        tokens = min(float(rate), self._tokens + (now - self._refilled) * rate) - (opened - self._opened_seen)
        self._refilled = now
        if tokens < 0:
            self._tokens = tokens + 1  # this one is given back
            self._opened_seen = opened - 1
            return False
        self._tokens = tokens
        self._opened_seen = opened
        return True

    def _distinct(self) -> int:
        """Source addresses over all workers."""
        if len(self._places) > DEVICES:
            return len(self._places)
        seen = {source for first in self._union for source in self.cells[first : first + DEVICES].tolist()}
        return len(seen) - (0 in seen)

    def _tell_apart(self, wanted: bool) -> None:
        """Let the other workers know where the user's connections come from, or no more."""
        self._told_apart = wanted
        for source in self._places:
            self._mark(*((0, source) if wanted else (source, 0)))

    def _mark(self, old: int, new: int) -> None:
        """Write a source over another one; 0 is none. Beyond `DEVICES` there is no cell, and none is needed."""
        cells = self.cells
        for cell in range(self._devices, self._devices + DEVICES):
            if cells[cell] == old:
                cells[cell] = new
                return


class Accounts:
    """All users in this worker; made when they first come.

    Args:
        meter: the memory of all workers.
        worker: our place among them.
        lanes: ours, in the same memory.
    """

    def __init__(self, meter: Meter, worker: int, lanes: Lanes) -> None:
        self._meter = meter
        self.lanes = lanes
        self._worker = worker
        self._fence = threading.Lock()  # taking it, though nobody else wants it, is a full memory barrier
        self._accounts: dict[str, Account] = {}

    def of(self, name: str, find: Callable[[str], SnapshotUser | None]) -> Account:
        """The account of a user, who is looked up by `find` where there is none yet."""
        key = canonical(name)
        account = self._accounts.get(key)
        if account is None:
            user = find(key)
            slot = user.slot if user is not None else 0
            account = self._accounts[key] = Account(self._meter, self._worker, key, slot, self._fence, self.lanes)
            account.amend(user)
        return account

    def amend(self, users: Iterable[SnapshotUser], find: Callable[[str], SnapshotUser | None]) -> None:
        """These are the users now; look them up again. Who is another one under an old name begins anew."""
        for key, account in list(self._accounts.items()):
            user = find(key)
            if account.slot == (user.slot if user is not None else 0):
                account.amend(user)
            else:
                del self._accounts[key]
        for user in users:
            if user.limits.connection_rate:
                self.of(user.name, find)  # all workers begin to count at the same time

    def moved(self, name: str, find: Callable[[str], SnapshotUser | None]) -> bool:
        """Whether a user is another one than when the account was made."""
        key = canonical(name)
        account, user = self._accounts.get(key), find(key)
        return account is not None and account.slot != (user.slot if user is not None else 0)


@lru_cache(maxsize=4096)  # who comes often is known
def source_key(host: str) -> tuple[int, bytes | None]:
    """What tells a source from others, in 64 bits and never 0, and its address; those of one IPv6 /64 are one."""
    packed = pack(host.partition("%")[0])
    if packed is None:
        return -1, None
    if len(packed) == 16 and packed.startswith(_V4_MAPPED):
        packed = packed[12:]
    key = int.from_bytes(packed[:8], "big", signed=True)
    return (key + (1 << 32) if len(packed) == 4 else key) or -1, packed
