"""What sessions come to over a time, told from sums that are kept; and the keeping of them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.rollups import Kind, Sums, tally
from vpn.domain.spans import DAY, Progress, Range, Span, floor, starts
from vpn.services.unstored import Unstored
from vpn.settings.statistics import StatisticsSettings
from vpn.store.rollups import Rollups
from vpn.store.statistics import Order, Ranking, StatisticsStore, Subject

MOST_POINTS = 1000
"""No series has more."""
_PERIOD = 60.0  # seconds between two looks at whether an hour is over
_TRIES = 50  # to read sums while nothing is committed
_PAUSE = 0.002  # seconds between two of them
_FEW_HOURS = 3 * DAY
_FEW_DAYS = 100 * DAY
_ALL = Subject()


class Totals(NamedTuple):
    """What all sessions of a range come to, those included that are live."""

    range: Range
    sums: Sums
    """If the range is up to now, so are bytes of live sessions in them, and sessions that ended and wait in memory."""
    active: int
    """Sessions that are live now; 0, if the range ended before."""


class Series(NamedTuple):
    """The sums of each span of a range."""

    range: Range
    by: Span
    points: list[tuple[int, Sums]]
    """With the beginning of each span; of all spans, the oldest first."""


class StatisticsService:
    """Tells statistics. `run` it, so that a year stays as quick as a day.

    Args:
        rollups: where sums are added to; it is told when an hour is over.
        unstored: what is not in the sums yet.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: StatisticsStore,
        rollups: Rollups,
        unstored: Unstored,
        settings: StatisticsSettings,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._rollups = rollups
        self._unstored = unstored
        self._settings = settings
        self._clock = clock
        self._log = structlog.get_logger("statistics")

    async def totals(self, wanted: Range) -> Totals:
        """What all sessions of a range come to."""
        for _ in range(_TRIES):
            version = self._unstored.version
            wide, sums = await self._store.total(wanted)
            if wide.end <= self._clock():
                return Totals(wide, sums, 0)
            if version == self._unstored.version and not version % 2:
                break
            # Sessions were stored meanwhile: they may be in both, or in neither.
            await asyncio.sleep(_PAUSE)
        rest = tally(self._unstored, self._clock())
        for hour, tables in rest.items():
            if wide.first <= hour < wide.end:
                sums = tables["all"].get("", Sums()).plus(sums)
        return Totals(wide, sums, self._unstored.active)

    async def top(self, kind: Kind, wanted: Range, order: Order, limit: int) -> Ranking:
        """The first of a kind. Live sessions are in it as far as they have been stored."""
        return await self._store.top(kind, wanted, order, limit)

    async def series(self, wanted: Range, by: Span | None = None, subject: Subject = _ALL) -> Series:
        """The sums of each span; without `by`, of hours, days or months as suits the range.

        Raises:
            Invalid: there would be too many of them, or they are not kept any more.
        """
        progress = await self._store.progress()
        by = by or _fitting(wanted, progress)
        kept_from = {"hour": progress.hours_from, "day": progress.days_from, "month": 0}[by]
        if floor(by, wanted.first) < kept_from:
            coarser = "day" if by == "hour" else "month"
            raise Invalid("span_gone", f"{by}s that long ago are not kept any more", f"ask for {coarser}s, or later on")
        if (wanted.end - wanted.first) / {"hour": DAY / 24, "day": DAY, "month": 28 * DAY}[by] > MOST_POINTS:
            raise Invalid("too_many_points", f"these are more than {MOST_POINTS} {by}s", "ask for a shorter range")
        wide, found = await self._store.series(wanted, by, subject)
        return Series(wide, by, [(start, found.get(start, Sums())) for start in starts(by, wide)])

    async def run(self) -> None:
        """Put hours that are over together into days and months, and forget the oldest, until cancelled."""
        while True:
            try:
                await self.tidy()
            except Unavailable as error:
                self._log.warning("statistics cannot be put in order now", reason=error.message)
            except Exception as error:
                # Whatever it was, hours go on being over.
                self._log.error("defect while putting statistics in order", exc_info=error)
            await asyncio.sleep(_PERIOD)

    async def tidy(self) -> None:
        """Do once what is to be done now.

        Raises:
            Unavailable: the store cannot be reached; the rest is done the next time.
        """
        over = False
        while await self._rollups.fold():
            over = True
        if over:
            await self._rollups.forget(self._settings.hours_kept, self._settings.days_kept)
            while await self._rollups.sweep():
                pass


def _fitting(wanted: Range, progress: Progress) -> Span:
    length = wanted.end - wanted.first
    if length <= _FEW_HOURS and floor("hour", wanted.first) >= progress.hours_from:
        return "hour"
    return "day" if length <= _FEW_DAYS and floor("day", wanted.first) >= progress.days_from else "month"
