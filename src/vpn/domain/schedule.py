"""Schedules: at which days and hours something holds.

    mon-fri 08:00-18:00    on working days, from 8 until 18 o'clock
    sat,sun                on these days, all day
    22:00-06:00            every night; what passes midnight belongs to the day on which it begins
    * 00:00-24:00          always

They are meant on the clock on the wall of a time zone: an hour that is left out when summer time begins is
left out, and one that comes twice counts twice.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from vpn.domain.errors import Invalid

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60  # minutes
_WEEK = 7 * _DAY
_LOOK_AHEAD = 16  # days: a week, another one whose hour summer time has swallowed, and the ends
_TEXT = re.compile(
    r"(?P<days>\*|[a-z][a-z,\- ]*?)?(?:^|\s+|$)(?:(?P<first>\d{1,2}:\d\d) ?- ?(?P<last>\d{1,2}:\d\d))?", re.ASCII
)
_LONGEST = 100  # characters


class Schedule:
    """When something holds: any of the hours that it was made of.

    Args:
        bounds: minutes of the week from Monday 00:00 on, sorted and distinct, at which holding begins and ends in
            turn; where it holds at the turn of the week, 0 is the first.
        zone: whose clock is meant.
    """

    __slots__ = ("_bounds", "_zone")

    def __init__(self, bounds: tuple[int, ...], zone: tzinfo) -> None:
        self._bounds = bounds
        self._zone = zone

    def holds(self, now: float) -> bool:
        """Whether it holds at this moment (seconds since the epoch)."""
        wall = datetime.fromtimestamp(now, self._zone)
        minute = (wall.weekday() * 24 + wall.hour) * 60 + wall.minute
        return bool(bisect_right(self._bounds, minute) & 1)

    def next_change(self, now: float) -> float:
        """The first moment after `now` at which it begins or ceases to hold; infinity: it never does."""
        if self._bounds in ((), (0, _WEEK)):
            return float("inf")
        held = self.holds(now)
        changes = (moment for moment in sorted(self._moments(now)) if moment > now and self.holds(moment) != held)
        return next(changes, float("inf"))

    def _moments(self, now: float) -> Iterator[float]:
        """When it might change in the next days: at its bounds, and where the clock is put forward or back."""
        today = datetime.fromtimestamp(now, self._zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        monday = today - timedelta(days=today.weekday())
        for week in range(_LOOK_AHEAD // 7 + 2):
            for bound in self._bounds:
                wall = (monday + timedelta(weeks=week, minutes=bound)).replace(tzinfo=self._zone)
                yield wall.timestamp()
                yield wall.replace(fold=1).timestamp()
        for before, after in pairwise(now + day * 86400 for day in range(_LOOK_AHEAD + 1)):
            if self._offset(before) != self._offset(after):
                yield self._transition(int(before), int(after) + 1)

    def _transition(self, before: int, after: int) -> float:
        """The second between these two at which the clock is put forward or back."""
        offset = self._offset(before)
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return float(after)

    def _offset(self, moment: float) -> timedelta | None:
        return datetime.fromtimestamp(moment, self._zone).utcoffset()


def parse_schedule(text: str, timezone: str = "UTC") -> Schedule:
    """Parse a text such as ``mon-fri 08:00-18:00``, in a zone such as ``Europe/Berlin``.

    Raises:
        Invalid: it is none, or there is no such zone.
    """
    return parse_schedules((text,), timezone)


def parse_schedules(texts: Iterable[str], timezone: str = "UTC") -> Schedule:
    """Parse several texts: it holds when one of them does.

    Raises:
        Invalid: one is none, or there is no such zone.
    """
    zone = find_zone(timezone)
    return Schedule(_bounds([span for text in texts for span in _spans(text)]), zone)


def find_zone(name: str) -> tzinfo:
    """The time zone of an IANA name.

    Raises:
        Invalid: there is none.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 -- a worker without schedules does without it

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # an unknown name, no name at all, a directory of names
        hint = "use a name of the IANA time zone database, such as UTC or Europe/Berlin"
        raise Invalid("bad_timezone", f"there is no time zone {name[:_LONGEST]!r}", hint) from None


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """From when until when a text holds, in minutes of the week; the last one may pass the week's end."""
    found = _TEXT.fullmatch(" ".join(text.lower().split())) if len(text) <= _LONGEST else None
    if found is None or not (found["days"] or found["first"]):
        raise _bad(text, "write it as mon-fri 08:00-18:00, sat,sun or 22:00-06:00")
    first = _minute(text, found["first"] or "00:00")
    last = _minute(text, found["last"] or "24:00")
    if first == last:
        raise _bad(text, "it ends where it begins; the whole day is 00:00-24:00")
    if first == _DAY:
        raise _bad(text, "a day begins at 00:00, and 24:00 is its end")
    for day in sorted(_days(text, found["days"] or "*")):
        yield day * _DAY + first, day * _DAY + last + (_DAY if last < first else 0)


def _minute(text: str, clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > _DAY:
        raise _bad(text, "times go from 00:00 to 24:00")
    return minute


def _days(text: str, days: str) -> set[int]:
    if days == "*":
        return set(range(7))
    chosen: set[int] = set()
    for part in days.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        last = last or first
        if first not in _DAYS or last not in _DAYS or part.endswith("-"):
            raise _bad(text, f"days are {', '.join(_DAYS)}, and ranges of them such as mon-fri")
        begin, end = _DAYS.index(first), _DAYS.index(last)
        chosen.update(day % 7 for day in range(begin, end + 1 + (7 if end < begin else 0)))
    return chosen


def _bounds(spans: list[tuple[int, int]]) -> tuple[int, ...]:
    """The bounds of all spans together, with those that pass the week's end carried over to its beginning."""
    carried = [(0, last - _WEEK) for _, last in spans if last > _WEEK]
    bounds: list[int] = []
    for first, last in sorted(carried + [(first, min(last, _WEEK)) for first, last in spans]):
        if bounds and first <= bounds[-1]:
            bounds[-1] = max(bounds[-1], last)
        else:
            bounds += (first, last)
    return tuple(bounds)


def _bad(text: str, hint: str) -> Invalid:
    return Invalid("bad_schedule", f"{text[:_LONGEST]!r} is no schedule", hint)
