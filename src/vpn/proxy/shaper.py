"""The daemon's side of shaping: what each user's rate is at the moment.

Who shares with nobody has one rate, which is written when it changes. Rates of those who share
(vpn.domain.shaping) follow what they want. As long as nobody has to wait, the rates of all who share, the idle
ones among them, add up to what there is, and there is nothing to do. When workers say that somebody has to wait,
rates are found anew twenty times a second, until nobody had to wait for a second. Meanwhile who does nothing is
lent nothing: a newcomer has his burst, and what is his 50 ms later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from math import inf

from vpn.domain.shaping import LEAST, Asker, Branch, Claim, Plan, allocate, estimate
from vpn.proxy.logger import Logger
from vpn.proxy.meter import DOWN, HUNGRY_DOWN, HUNGRY_UP, RATE_DOWN, RATE_UP, SPENT_DOWN, SPENT_UP, UP, Meter

TICK = 0.05  # seconds from one look to the next
CALM = 1.0  # seconds without anybody waiting, until there is nothing more to look at
_FRUGAL = 10  # the looks themselves take at most this part of the time
_HUNGRY = 0.15  # seconds for which it counts that somebody had to wait: three looks
_NOTHING = Plan(inf, {}, [])


class _Member:
    """A user who shares with others, in one direction."""

    __slots__ = ("claim", "hungry_until", "marks", "moved", "slot", "wants")

    def __init__(self, slot: int, moved: int, marks: int) -> None:
        self.slot = slot
        self.claim = Claim()
        self.moved = moved
        self.marks = marks
        self.hungry_until = 0.0
        self.wants = 0.0  # as far as he did not have to wait


class _Direction:
    """All users, in one direction.

    Args:
        cells: which cells of a user's it is about: rate, spent, bytes moved, hungry.
    """

    def __init__(self, meter: Meter, cells: tuple[int, int, int, int]) -> None:
        self._meter = meter
        self._rate, self._spent, self._moved, self._marks = cells
        self._most = inf
        self._branches: list[tuple[Claim, list[_Member]]] = []
        self._members: dict[int, _Member] = {}
        self._slots: set[int] = set()
        self._looked = 0.0

    @property
    def shared(self) -> bool:
        """Whether there is anybody who shares."""
        return bool(self._members)

    def follow(self, plan: Plan) -> None:
        """This holds from now on."""
        known = self._members
        self._most = plan.most
        self._begin({*plan.alone, *(slot for _, claims in plan.branches for slot in claims)})
        slots = 1 + max((slot for _, claims in plan.branches for slot in claims), default=0)
        moved, marks = self._meter.totals(self._moved, slots), self._meter.totals(self._marks, slots)
        self._branches = []
        self._members = {}
        for claim, claims in plan.branches:
            members = []
            for slot, own in claims.items():
                member = known.get(slot) or _Member(slot, moved[slot], marks[slot])
                member.claim = own
                members.append(member)
                self._members[slot] = member
            self._branches.append((claim, members))
        for slot, rate in plan.alone.items():
            self._write(slot, rate)

    def _begin(self, slots: set[int]) -> None:
        """Who is new has spent nothing; what the memory says may be from before the machine was started."""
        for slot in slots - self._slots:
            self._meter.cells[self._meter.order(slot) + self._spent] = 0
        self._slots = slots

    def look(self, now: float) -> bool:
        """See what everybody has moved since the last time; whether anybody has to wait."""
        seconds = max(now - self._looked, 0.001)
        self._looked = now
        slots = 1 + max(self._members)
        all_moved, all_marks = self._meter.totals(self._moved, slots), self._meter.totals(self._marks, slots)
        hungry = False
        for slot, member in self._members.items():
            moved, marks = all_moved[slot], all_marks[slot]
            if marks != member.marks:
                member.marks = marks
                member.hungry_until = now + _HUNGRY
            member.wants = estimate(max(0, moved - member.moved), seconds, member.wants)
            member.moved = moved
            hungry = hungry or member.hungry_until > now
        return hungry

    def settle(self, now: float) -> None:
        """Give everybody a rate, so that all together are what there is."""
        self._allocate(now, self._branches)

    def share_out(self, now: float) -> None:
        """Give rates to those who do something, and to the others hardly any."""
        busy = []
        for claim, members in self._branches:
            active = [each for each in members if each.wants > LEAST or each.hungry_until > now]
            if active:
                busy.append((claim, active))
            for each in members:
                if each.wants <= LEAST and each.hungry_until <= now:
                    self._write(each.slot, min(LEAST, each.claim.maximum))
        self._allocate(now, busy)

    def _allocate(self, now: float, branches: list[tuple[Claim, list[_Member]]]) -> None:
        found = allocate(self._most, [Branch(claim, self._askers(now, members)) for claim, members in branches])
        for (_, members), rates in zip(branches, found, strict=True):
            for member, rate in zip(members, rates, strict=True):
                self._write(member.slot, rate)

    def _askers(self, now: float, members: Iterable[_Member]) -> list[Asker]:
        return [Asker(each.claim, inf if each.hungry_until > now else each.wants) for each in members]

    def _write(self, slot: int, rate: float) -> None:
        cells, order = self._meter.cells, self._meter.order(slot)
        after = 0 if rate == inf else int(rate)
        if rate and not after:
            after = 1  # 0 would be no limit
        before = cells[order + self._rate]
        if before == after:
            return
        if 0 < before < after:  # what went too far in bytes is less in time now
            now = time.monotonic_ns()
            ahead = cells[order + self._spent] - now
            if ahead > 0:
                cells[order + self._spent] = now + ahead * before // after
        cells[order + self._rate] = after


class Shaper:
    """Writes the rates of all users.

    Args:
        meter: where the workers read them.
        log: a structured logger.
    """

    def __init__(self, meter: Meter, log: Logger) -> None:
        self._log = log
        self._directions = (
            _Direction(meter, (RATE_DOWN, SPENT_DOWN, DOWN, HUNGRY_DOWN)),
            _Direction(meter, (RATE_UP, SPENT_UP, UP, HUNGRY_UP)),
        )
        self._hungry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, down: Plan, up: Plan) -> None:
        """These plans hold from now on, for live sessions too."""
        now = time.monotonic()
        for direction, plan in zip(self._directions, (down, up), strict=True):
            direction.follow(plan)
            if direction.shared:
                if direction.look(now):
                    self._hungry.set()
                if self._hungry.is_set():
                    direction.share_out(now)
                else:
                    direction.settle(now)

    def wake(self) -> None:
        """Somebody has to wait."""
        if any(direction.shared for direction in self._directions):
            self._hungry.set()

    def start(self) -> None:
        """Begin to look after those who have to wait."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Leave the rates as they are."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.log(40, "rates are not shared out any more", error=repr(error))

    async def _run(self) -> None:
        while True:
            await self._hungry.wait()
            await self._watch()

    async def _watch(self) -> None:
        """Find the rates anew until nobody has to wait."""
        calm_at = time.monotonic() + CALM
        while (now := time.monotonic()) < calm_at:
            if self._tick(now):
                calm_at = now + CALM
            cost = time.monotonic() - now
            await asyncio.sleep(max(TICK, cost * _FRUGAL))
        self._hungry.clear()
        for direction in self._directions:
            if direction.shared:
                direction.settle(now)

    def _tick(self, now: float) -> bool:
        hungry = False
        for direction in self._directions:
            if direction.shared:
                hungry = direction.look(now) or hungry
                direction.share_out(now)
        return hungry
