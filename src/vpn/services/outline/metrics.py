"""What keys have moved, as Outline tells it: in the last 30 days, both directions together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from vpn.domain.errors import Invalid
from vpn.domain.quota import period_start
from vpn.domain.rollups import Sums
from vpn.domain.session import Session
from vpn.domain.spans import DAY, HOUR, Range
from vpn.domain.units import parse_duration
from vpn.services.metrics_history import Point
from vpn.services.outline.keys import KeyService
from vpn.store.statistics import StatisticsStore
from vpn.store.usage import UsageStore
from vpn.store.users import UserStore

_LONGEST = 35 * DAY  # hours are kept as long
_MOST_USERS = 100_000


class Sources(NamedTuple):
    """Where figures come from."""

    users: UserStore
    usage: UsageStore
    statistics: StatisticsStore
    zones: Callable[[], Mapping[int, tzinfo]]
    """Where users are, by their numbers."""
    live: Iterable[Session]
    points: Iterable[Point]
    """How it was in the last hours."""
    rate: Callable[[], float]
    """Bytes per second, now."""


class Speed(NamedTuple):
    """How fast bytes moved at a moment."""

    rate: float
    """Bytes per second."""
    moment: int
    """Seconds since the epoch."""


class KeyFigures(NamedTuple):
    """What one key comes to."""

    id: str
    seconds: float
    """How long its connections took, together; those that have ended count."""
    bytes: int
    last_seen: int | None
    """The beginning of the hour in which it moved something last (the day, if that is long ago), in seconds since the
    epoch; or now, if it is connected. None: it did not."""
    devices: int
    """Addresses that it is connected from, now."""


class ServerFigures(NamedTuple):
    """What all come to."""

    current: Speed
    peak: Speed
    """Of the last hours that are remembered."""
    keys: list[KeyFigures]


class MetricsService:
    """Tells what keys have moved.

    Args:
        clock: the present moment, with a time zone.
    """

    def __init__(self, keys: KeyService, sources: Sources, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._from = sources
        self._clock = clock

    async def transfer(self) -> dict[str, int]:
        """Bytes that keys have moved in the last 30 days, by their identifiers; who moved none is not there."""
        identifiers = await self._keys.identifiers()
        zones, now = self._from.zones(), self._clock()
        days = [(number, period_start("rolling", now, zones.get(number, UTC)).date()) for number in identifiers]
        moved = await self._from.usage.since(days)
        return {identifiers[number]: size for number, size in moved.items() if size}

    async def figures(self, since: str) -> ServerFigures:
        """What keys come to since a time ago: ``30d``, ``12h``. Bytes are counted by the day, the rest by the hour.

        Raises:
            Invalid: that is none, or too long ago.
        """
        seconds = parse_duration(since)
        if not 0 < seconds <= _LONGEST:
            raise Invalid("bad_range", f"{since[:40]!r} cannot be told", f"ask for at most {_LONGEST // DAY}d")
        now = self._clock()
        identifiers = await self._keys.identifiers()
        first = (now - timedelta(seconds=seconds)).date() + timedelta(days=1 if seconds >= DAY else 0)
        moved = await self._from.usage.since((number, first) for number in identifiers)
        moment = int(now.timestamp())
        span = Range(moment - int(seconds), moment + HOUR)
        ranking = await self._from.statistics.top("user", span, "bytes", _MOST_USERS)
        sums = dict(ranking.rows)
        seen = await self._from.statistics.last_seen("user", span)
        devices: dict[str, set[str]] = {}
        for session in self._from.live:
            devices.setdefault(session.user, set()).add(session.source_host)
        keys = []
        for user in await self._from.users.all():
            if user.number in identifiers:
                last = seen.get(user.name)
                figures = KeyFigures(
                    id=identifiers[user.number],
                    seconds=sums.get(user.name, Sums()).milliseconds / 1000,
                    bytes=moved.get(user.number, 0),
                    last_seen=moment if user.name in devices else last,
                    devices=len(devices.get(user.name, ())),
                )
                keys.append(figures)
        current = Speed(self._from.rate(), moment)
        return ServerFigures(current, max([*_speeds(self._from.points), current]), keys)


def _speeds(points: Iterable[Point]) -> list[Speed]:
    """How fast bytes moved between each two points."""
    speeds = []
    before: Point | None = None
    for point in points:
        if before is not None and point.timestamp > before.timestamp:
            moved = point.bytes_sent + point.bytes_received - before.bytes_sent - before.bytes_received
            speeds.append(Speed(max(0.0, moved) / (point.timestamp - before.timestamp), int(point.timestamp)))
        before = point
    return speeds
