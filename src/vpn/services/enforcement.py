"""Keeping users to their limits as time passes and bytes move: expiry, hours, quotas.

Who may connect is decided here (vpn.domain.standing), for every snapshot anew, and whenever a look at what was
moved, or at the clock, says that it has changed. Where a quota ends, workers are told beforehand, as a count in
their memory: they stop by themselves, to the byte or nearly so, and we hear of it at the next look.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo

import msgspec
import structlog

from vpn.domain.errors import Unavailable
from vpn.domain.group import EVERYONE, Inheritance
from vpn.domain.limits import NO_LIMITS, Limits
from vpn.domain.quota import THE_BEGINNING, next_reset, period_start, reached, zone_of
from vpn.domain.shaping import Sharer
from vpn.domain.standing import blocked, next_look, throttled
from vpn.domain.user import canonical
from vpn.proxy.control import SnapshotLimits, SnapshotUser
from vpn.proxy.meter import CONNECTIONS, STOP
from vpn.services.ledger import Ledger
from vpn.services.shaping import Shaping
from vpn.services.user_secrets import UserSecrets
from vpn.store.groups import GroupStore
from vpn.store.usage import Quota, UsageStore
from vpn.store.users import Outline, UserStore

LOOK = 0.25  # seconds between two looks at what was moved
SOON = 0.02  # seconds from one look to the next at least
BOOK = 1.0  # seconds between two bookings
WARN_AT = (80, 95)
"""Percentages of a quota at which a warning is given where none are said."""


class Watched(msgspec.Struct):
    """A user as we watch him."""

    user: Outline
    limits: Limits
    """Those that hold, inherited ones among them."""
    zone: tzinfo
    slot: int
    quota: Quota
    base: int
    """Bytes of the present period less those that the meter has counted."""
    since: datetime
    """The start of the present period."""
    look_at: datetime | None
    blocked: str = ""
    warned: int = 0
    at_present: Limits = NO_LIMITS
    """The same limits, with lower rates at the end of a quota that throttles."""


class Standing(msgspec.Struct, frozen=True):
    """How a user stands."""

    state: str
    """``active``, or why the user may not connect."""
    used: int
    """Bytes, both directions together, in the present period."""
    limits: Limits
    """Those that hold, inherited ones among them."""
    since: datetime | None
    """When the period began; None: it is all time."""
    until: datetime | None
    """When something will count no longer; None: never."""
    today: date
    """Where the user is."""
    connections: int
    """Now, over all workers."""


class Enforcement:
    """Watches all users. It is told of every change of them, and tells when they are to be published again.

    Args:
        clock: the present moment, with a time zone.
        secrets: what workers must know of users in clear; None: nothing.
    """

    def __init__(
        self,
        users: UserStore,
        groups: GroupStore,
        usage: UsageStore,
        ledger: Ledger,
        shaping: Shaping,
        clock: Callable[[], datetime],
        secrets: UserSecrets | None = None,
    ) -> None:
        self._users = users
        self._secrets = secrets
        self._groups = groups
        self._usage = usage
        self._ledger = ledger
        self._shaping = shaping
        self._clock = clock
        self._watched: dict[int, Watched] = {}
        self._warned: dict[int, tuple[datetime, int]] = {}
        """What the store is still to be told."""
        self._unjudged: set[int] = set()
        """Who has connected or moved something, and was not looked at yet."""
        self._forgiven: set[int] = set()
        """Whose period is to be looked up anew."""
        self.events = {"warned": 0, "reached": 0}
        """How often users were warned, and how often a quota was used up."""
        self._log = structlog.get_logger("quota")

    async def arrange(self) -> list[SnapshotUser]:
        """What workers are to know of the users as they are now; their quotas are set in the workers' memory.

        Raises:
            Unavailable: the store cannot be read.
        """
        users = await self._users.all()
        inheritance = Inheritance(await self._groups.all())
        now = self._clock()
        await self._watch(users, inheritance, now)
        secrets = await self._secrets.for_workers([user.number for user in users]) if self._secrets else {}
        seen = [self._seen(self._watched[user.number], now, secrets.get(user.number, "")) for user in users]
        self._shaping.share([self._sharer(each) for each in self._watched.values() if each.slot], inheritance.shared())
        return seen

    async def run(self, publish: Callable[[], Awaitable[None]]) -> None:
        """Look, book and publish until cancelled."""
        booked = 0.0
        swept = False
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._pause())
            try:
                if await self._look():
                    await publish()
                if loop.time() - booked >= BOOK:
                    booked = loop.time()
                    await self._ledger.book(self.zones())
                    await self._note_warnings()
                    swept = swept or await self._sweep()
            except Unavailable as error:
                self._log.error("users cannot be kept to their limits for the moment", reason=error.message)
                await asyncio.sleep(BOOK)
            except Exception as error:
                # One defect must not set everybody free.
                self._log.error("defect while keeping users to their limits", exc_info=error)
                await asyncio.sleep(BOOK)

    async def standing(self, number: int) -> Standing:
        """How a user, by number, stands at this moment.

        Raises:
            Unavailable: the store cannot be read.
        """
        if number not in self._watched:  # nobody serves, or the user is new
            await self.arrange()
        watched = self._watched[number]
        now = self._clock()
        used = self._used(watched)
        slot = watched.slot
        return Standing(
            state=blocked(watched.user, watched.limits, used, now) or "active",
            used=used,
            limits=watched.limits,
            since=None if watched.since.astimezone(UTC).date() == THE_BEGINNING else watched.since,
            until=next_reset(watched.limits.reset or "never", now, watched.zone),
            today=now.astimezone(watched.zone).date(),
            connections=self._ledger.meter.total(slot, CONNECTIONS) if slot else 0,
        )

    def zones(self) -> Mapping[int, tzinfo]:
        """Where the users are."""
        return {number: watched.zone for number, watched in self._watched.items()}

    def kept_out(self) -> Mapping[str, int]:
        """How many users may not connect, by reason."""
        return Counter(each.blocked for each in self._watched.values() if each.blocked)

    def warned(self) -> int:
        """How many users have been warned in their present periods."""
        return sum(1 for each in self._watched.values() if each.warned)

    async def find_zones(self) -> Mapping[int, tzinfo]:
        """Where the users are, before anybody is watched.

        Raises:
            Unavailable: the store cannot be read.
        """
        inheritance = Inheritance(await self._groups.all())
        users = await self._users.all()
        return {user.number: zone_of(inheritance.limits(user.limits, user.groups)) for user in users}

    async def forgive(self, number: int) -> None:
        """Count a user's present period from nothing."""
        now = self._clock()
        if self._ledger.is_open:
            await self._ledger.book(self.zones())
        zone = self._watched[number].zone if number in self._watched else UTC
        today = now.astimezone(zone).date()
        moved = await self._usage.since([(number, today)])
        quota = Quota(hour=period_start("hourly", now, zone), floor_day=today, floor_bytes=moved.get(number, 0))
        await self._usage.set_quota(number, quota)
        self._forgiven.add(number)

    async def _look(self) -> bool:
        """See what was moved, and what time it is; whether the users are to be published again."""
        now = self._clock()
        moved = self._unjudged  # if the store is away now, they are looked at again
        moved |= self._ledger.look()
        first = {number: now for number in moved if self._is_first_use(number)}
        if first:
            await self._users.note_first_uses(first)
        over = [number for number in moved if number in self._watched and self._passes(self._watched[number])]
        moved.clear()
        due = any(each.look_at is not None and each.look_at <= now for each in self._watched.values())
        return bool(first or over or due)

    def _pause(self) -> float:
        """Seconds until the next look."""
        now = self._clock()
        looks = [each.look_at for each in self._watched.values() if each.look_at is not None]
        soonest = min(looks, default=None)
        return LOOK if soonest is None else min(LOOK, max(SOON, (soonest - now).total_seconds()))

    def _is_first_use(self, number: int) -> bool:
        watched = self._watched.get(number)
        return watched is not None and watched.user.first_used_at is None

    def _passes(self, watched: Watched) -> bool:
        """Whether a user has come to the end of the quota, or to a warning."""
        return _percent(watched.limits, self._used(watched)) > watched.warned

    def _used(self, watched: Watched) -> int:
        return watched.base + self._moved(watched)

    def _moved(self, watched: Watched) -> int:
        return self._ledger.moved(watched.user.number) if watched.slot else 0

    async def _watch(self, users: Sequence[Outline], inheritance: Inheritance, now: datetime) -> None:
        """Bring what is watched up to date; where that fails, it stays as it was."""
        watching: dict[int, Watched] = {}
        fresh: list[Watched] = []
        quotas: dict[int, Quota] | None = None
        forgiven = frozenset(self._forgiven)
        for user in users:
            limits = inheritance.limits(user.limits, user.groups)
            old = self._watched.get(user.number) if user.number not in forgiven else None
            start = period_start(limits.reset or "never", now, zone_of(limits))
            if old is not None and old.since == start and old.zone == zone_of(limits):
                slot = old.slot or self._slot(user)  # there may be room now
                watching[user.number] = msgspec.structs.replace(old, user=user, limits=limits, slot=slot)
            else:
                if quotas is None:
                    quotas = await self._usage.quotas()
                quota = quotas.get(user.number, Quota())
                made = Watched(user, limits, zone_of(limits), self._slot(user), quota, 0, start, None)
                made.warned = quota.warned if quota.warned_at == start else 0
                watching[user.number] = made
                if old is not None and _follows(made, old):
                    made.base = -self._moved(made)  # what is not booked yet was moved before
                else:
                    fresh.append(made)
        if fresh:
            await self._ledger.book(self.zones())
            async with self._ledger.booking:  # or what the store knows and what we think it knows would differ
                await self._count_from_store(fresh, now)
        self._watched = watching
        self._forgiven -= forgiven
        if self._ledger.is_open:
            self._ledger.release({user.number for user in users})

    def _slot(self, user: Outline) -> int:
        return self._ledger.slot(user.number) if self._ledger.is_open else 0

    async def _count_from_store(self, fresh: Iterable[Watched], now: datetime) -> None:
        """Find out what users have moved in their present periods."""
        days = [(each, _first_day(each)) for each in fresh if each.limits.reset != "hourly"]
        moved = await self._usage.since((each.user.number, day) for each, day in days)
        for each, day in days:
            forgiven = each.quota.floor_bytes if each.quota.floor_day == day else 0
            each.base = moved.get(each.user.number, 0) - forgiven - self._booked(each)
        hourly = [each for each in fresh if each.limits.reset == "hourly"]
        quotas = await self._usage.quotas() if hourly else {}
        for each in hourly:
            quota = quotas.get(each.user.number, each.quota)
            current = quota.hour == period_start("hourly", now, each.zone)
            each.base = (quota.hour_bytes if current else 0) - self._booked(each)

    def _booked(self, watched: Watched) -> int:
        return self._ledger.booked(watched.user.number) if watched.slot else 0

    def _seen(self, watched: Watched, now: datetime, secret: str) -> SnapshotUser:
        """Decide about a user, and say it in the words of the workers."""
        user, limits = watched.user, watched.limits
        used = self._used(watched) if limits.data_limit else 0  # there may be many who have no quota
        watched.at_present = throttled(limits, used)
        watched.blocked = blocked(user, limits, used, now) if watched.slot or not self._ledger.is_open else "no_room"
        watched.look_at = next_look(user, limits, now)
        if watched.slot:
            self._set_stop(watched)
            self._warn(watched, used)
        return SnapshotUser(
            name=user.name,
            credential=user.credential,
            blocked=watched.blocked,
            slot=watched.slot,
            groups=tuple(canonical(name) for name in user.groups),
            limits=_snapshot_limits(watched.at_present),
            shadowsocks=secret,
        )

    def _sharer(self, watched: Watched) -> Sharer:
        names = tuple(canonical(name) for name in (*watched.user.groups, EVERYONE))
        return Sharer(watched.slot, names, watched.at_present)

    def _set_stop(self, watched: Watched) -> None:
        meter, limits = self._ledger.meter, watched.limits
        ends = limits.data_limit and not limits.throttle
        stop = max(1, (limits.data_limit or 0) - watched.base) if ends else 0
        cell = meter.order(watched.slot) + STOP
        if meter.cells[cell] != stop:
            meter.cells[cell] = stop

    def _warn(self, watched: Watched, used: int) -> None:
        """Say once in a period that a percentage is reached."""
        percent = _percent(watched.limits, used)
        if percent > watched.warned:
            event = "quota used up" if percent >= 100 else "quota nearly used up"
            limit = watched.limits.data_limit
            self._log.warning(event, user=watched.user.name, percent=percent, used=used, limit=limit)
            self.events["reached" if percent >= 100 else "warned"] += 1
        if percent != watched.warned:
            watched.warned = percent
            self._warned[watched.user.number] = (watched.since, percent)

    async def _sweep(self) -> bool:
        """Forget what users had moved who are no more: once, for those who were removed since the last start."""
        known = await self._usage.known()  # first: a user who is added meanwhile is not taken for one who is gone
        gone = known - {user.number for user in await self._users.all()}
        if gone:
            await self._usage.forget(sorted(gone))
        return True

    async def _note_warnings(self) -> None:
        if self._warned:
            warned = dict(self._warned)
            await self._usage.note_warnings(warned)
            self._warned = {number: each for number, each in self._warned.items() if warned.get(number) != each}


def _follows(period: Watched, before: Watched) -> bool:
    """Whether a period begins with nothing, as the one before has ended."""
    same = period.zone == before.zone and period.limits.reset == before.limits.reset
    return same and period.limits.reset != "rolling"


def _percent(limits: Limits, used: int) -> int:
    """The highest percentage of the quota that is worth a word, and reached."""
    warnings = WARN_AT if limits.warn_at is None else limits.warn_at
    return reached((*warnings, 100), used, limits.data_limit) if limits.data_limit else 0


def _first_day(watched: Watched) -> date:
    """The first day that counts in the present period."""
    return max(watched.since.astimezone(watched.zone).date(), watched.quota.floor_day)


def _snapshot_limits(limits: Limits) -> SnapshotLimits:
    return SnapshotLimits(
        max_connections=limits.max_connections or 0,
        connection_rate=limits.connection_rate or 0,
        max_devices=limits.max_devices or 0,
        sources=limits.sources or (),
        inbounds=limits.inbounds or (),
        burst=limits.burst or 0,
    )
