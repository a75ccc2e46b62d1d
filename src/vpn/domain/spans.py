"""Hours, days and months in UTC, and which of them make up a range. Moments are whole seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from vpn.domain.errors import Invalid
from vpn.domain.units import parse_duration, parse_past

Span = Literal["hour", "day", "month"]

SPANS: tuple[Span, ...] = ("hour", "day", "month")
HOUR = 3600
DAY = 86400
_DEFAULT = DAY


class Range(NamedTuple):
    """From one moment to another, which is not in it."""

    first: int
    end: int


class Piece(NamedTuple):
    """Spans of one length: those that begin at `first` or later, and before `end`."""

    span: Span
    first: int
    end: int


class Progress(NamedTuple):
    """What is kept in spans of which length."""

    folded: int = 0
    """All hours before this one are in their days and months as well; of the day and the month that it is in, the part
    before it."""
    hours_from: int = 0
    """The beginning of a day: hours are kept from here on."""
    days_from: int = 0
    """The beginning of a month: days are kept from here on."""


def floor(span: Span, moment: int) -> int:
    """The beginning of the span that a moment is in."""
    if span == "hour":
        return moment - moment % HOUR
    if span == "day":
        return moment - moment % DAY
    return int(datetime.fromtimestamp(moment, UTC).replace(day=1, hour=0, minute=0, second=0).timestamp())


def after(span: Span, start: int) -> int:
    """The beginning of the next span after the one that begins here."""
    if span == "month":
        return floor("month", start + 32 * DAY)
    return start + (HOUR if span == "hour" else DAY)


def ceil(span: Span, moment: int) -> int:
    """The first beginning of a span at this moment or later."""
    start = floor(span, moment)
    return start if start == moment else after(span, start)


def starts(span: Span, within: Range) -> Iterator[int]:
    """The beginnings of all spans that have a part in a range."""
    start = floor(span, within.first)
    while start < within.end:
        yield start
        start = after(span, start)


def widen(wanted: Range, progress: Progress) -> Range:
    """A range in whole hours; where these are not kept any more in whole days, and then in whole months."""
    return Range(
        floor(_finest(wanted.first, progress), wanted.first),
        ceil(_finest(wanted.end, progress), wanted.end),
    )


def cover(wide: Range, progress: Progress) -> list[Piece]:
    """The spans that make up a range from `widen`: all of it, nothing twice, and as few as can be."""
    pieces: list[Piece] = []
    at, end = wide.first, min(wide.end, progress.folded)
    while at < end:
        # The day and the month that are not over hold what there is up to `folded`.
        whole = progress.folded == end
        span = next(
            span
            for span in reversed(SPANS)
            if span == "hour" or (floor(span, at) == at and (whole or after(span, at) <= end))
        )
        past = min(after(span, at), end)
        if pieces and pieces[-1].span == span:
            pieces[-1] = pieces[-1]._replace(end=past)
        else:
            pieces.append(Piece(span, at, past))
        at = past
    if max(wide.first, progress.folded) < wide.end:
        pieces.append(Piece("hour", max(wide.first, progress.folded), wide.end))
    return pieces


def parse_range(now: datetime, since: str | None, first: str | None, end: str | None) -> Range:
    """A range as people write it: what lies this long back, as ``7d``, or two moments; the last 24 hours if nothing.

    Raises:
        Invalid: it is none, has nothing in it, or both ways are mixed.
    """
    present = int(now.timestamp())
    if since is not None:
        if first is not None or end is not None:
            raise Invalid("bad_range", "since and from or to cannot be said together", "say since, or from and to")
        return Range(max(0, present - parse_duration(since)), present + 1)
    until = present + 1 if end is None else min(int(parse_past(end, now).timestamp()), present + 1)
    begin = until - _DEFAULT if first is None else int(parse_past(first, now).timestamp())
    if not 0 <= begin < until:
        raise Invalid(
            "bad_range",
            "the range has nothing in it",
            "from is before to and before now; write them as 2026-12-31, 2026-12-31T18:00:00Z, or 7d (so long ago)",
        )
    return Range(begin, until)


def _finest(moment: int, progress: Progress) -> Span:
    if moment < progress.days_from:
        return "month"
    return "day" if moment < progress.hours_from else "hour"
