"""Quotas: so many bytes within a period, which begins anew in the user's own time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

from vpn.domain.limits import Limits, Reset
from vpn.domain.schedule import find_zone

ROLLING_DAYS = 30
"""Days that count in a rolling period, today included."""
THE_BEGINNING = date(1970, 1, 1)


def zone_of(limits: Limits) -> tzinfo:
    """The time zone that a user's hours and periods are meant in; UTC where none is said."""
    return find_zone(limits.timezone or "UTC")


def period_start(reset: Reset, now: datetime, zone: tzinfo) -> datetime:
    """When the period began that `now` is in; a rolling one with the first of its days."""
    local = now.astimezone(zone)
    if reset == "hourly":
        # In UTC, where no hour happens twice, though zones may be half an hour off.
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return (now - past).astimezone(zone)
    day = local.date()
    first = {
        "never": THE_BEGINNING,
        "daily": day,
        "weekly": day - timedelta(days=day.weekday()),
        "monthly": day.replace(day=1),
        "yearly": day.replace(month=1, day=1),
        "rolling": day - timedelta(days=ROLLING_DAYS - 1),
    }[reset]
    return _midnight(first, zone)


def next_reset(reset: Reset, now: datetime, zone: tzinfo) -> datetime | None:
    """When something will count no longer; None: never."""
    if reset == "never":
        return None
    if reset == "hourly":
        return (period_start(reset, now, zone).astimezone(UTC) + timedelta(hours=1)).astimezone(zone)
    day = now.astimezone(zone).date()
    following = {
        "daily": day + timedelta(days=1),
        "rolling": day + timedelta(days=1),
        "weekly": day + timedelta(days=7 - day.weekday()),
        "monthly": (day.replace(day=1) + timedelta(days=32)).replace(day=1),
        "yearly": day.replace(year=day.year + 1, month=1, day=1),
    }[reset]
    return _midnight(following, zone)


def reached(percentages: tuple[int, ...], used: int, limit: int) -> int:
    """The highest of these percentages of the limit that is used; 0: none."""
    return max((each for each in percentages if used * 100 >= limit * each), default=0)


def _midnight(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day; where clocks go forward at midnight, it is one that the zone knows."""
    moment = datetime(day.year, day.month, day.day, tzinfo=zone)
    return moment.astimezone(UTC).astimezone(zone)
