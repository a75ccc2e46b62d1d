"""How things were: a point every few seconds, of the last hours, in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

HOUR = 3600


class Point(NamedTuple):
    """One moment. Totals are since the daemon started; memory and bytes in bytes."""

    timestamp: float
    """Seconds since the epoch."""
    active_sessions: float
    total_sessions: float
    rejected: float
    bytes_sent: float
    bytes_received: float
    memory: float
    """Of the daemon and its workers."""
    cpu: float
    """Of the daemon and its workers; 100.0 is one core."""


_GAUGES = ("active_sessions", "memory", "cpu")


class History:
    """A ring of points: 64 bytes each, taken as they come.

    Args:
        interval: seconds between two points.
        hours: how long they are kept.
    """

    def __init__(self, interval: float, hours: float) -> None:
        self.interval = interval
        self._most = max(1, round(hours * HOUR / interval))
        self._columns = [array("d") for _ in Point._fields]
        self._next = 0

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, point: Point) -> None:
        """Keep one; the oldest goes if there are too many."""
        full = len(self) == self._most
        for column, value in zip(self._columns, point, strict=True):
            if full:
                column[self._next] = value
            else:
                column.append(value)
        self._next = (self._next + 1) % self._most

    def since(self, moment: float, most: int) -> list[Point]:
        """The points from this moment on, in their order; where they are more than `most`, fewer that stand for them.

        Of those that one stands for, totals are as they were last, the rest is the mean.
        """
        points = [point for point in self if point.timestamp >= moment]
        size = -(-len(points) // most)
        return [_one(points[start : start + size]) for start in range(0, len(points), size)] if points else []

    def __iter__(self) -> Iterator[Point]:
        count = len(self)
        first = self._next if count == self._most else 0
        for index in range(first, first + count):
            yield Point(*(column[index % count] for column in self._columns))


def _one(points: list[Point]) -> Point:
    means = {name: sum(getattr(point, name) for point in points) / len(points) for name in _GAUGES}
    return points[-1]._replace(**means)
