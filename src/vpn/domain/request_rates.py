"""Requests that strangers may make: so many a minute from one source, and so many from all together."""

from __future__ import annotations

from typing import NamedTuple

MOST_SOURCES = 10_000  # that are remembered; the one that was heard of first goes first
_MINUTE = 60.0


class _Bucket(NamedTuple):
    tokens: float
    filled: float
    """When."""


class RequestRates:
    """Token buckets, one for each source and one for all strangers. `now` is any clock in seconds that never goes back.

    Who is no stranger has to do with the own bucket alone, so a crowd of strangers does not shut them out.
    """

    def __init__(self) -> None:
        self._sources: dict[str, _Bucket] = {}
        self._all: _Bucket | None = None
        self._familiar: dict[str, None] = {}

    def welcome(self, source: str) -> None:
        """A source is no stranger: it has asked for what only few know."""
        self._familiar.pop(source, None)
        if len(self._familiar) >= MOST_SOURCES:
            del self._familiar[next(iter(self._familiar))]
        self._familiar[source] = None

    def wait(self, source: str, now: float, *, each: int, total: int) -> float:
        """Seconds until a request of this source may be made; 0: now, and it counts as made.

        Args:
            each: requests a minute of one source; as many may come at once.
            total: requests a minute of all strangers.
        """
        own = _filled(self._sources.get(source), each, now)
        everybody = _filled(self._all, total, now)
        stranger = source not in self._familiar
        wait = max(_missing(own, each), _missing(everybody, total) if stranger else 0.0)
        paid = 0.0 if wait else 1.0
        self._all = everybody._replace(tokens=everybody.tokens - (paid if stranger else 0.0))
        if source not in self._sources and len(self._sources) >= MOST_SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[source] = own._replace(tokens=own.tokens - paid)
        return wait


def _filled(bucket: _Bucket | None, rate: int, now: float) -> _Bucket:
    if bucket is None:
        return _Bucket(rate, now)
    return _Bucket(min(rate, bucket.tokens + (now - bucket.filled) * rate / _MINUTE), now)


def _missing(bucket: _Bucket, rate: int) -> float:
    """Seconds until there is a whole token."""
    return max(0.0, (1 - bucket.tokens) * _MINUTE / rate)
