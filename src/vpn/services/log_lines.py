"""The newest lines of the log, kept in memory, for who asks what happened."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

MOST_BYTES = 2 * 1024 * 1024  # of all lines together, as JSON
LEVELS = ("debug", "info", "warning", "error", "critical")

Put = Callable[[Mapping[str, Any]], None]


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """One line."""

    id: int
    """Later lines have greater ones, also after a restart."""
    time: str
    """ISO 8601, UTC."""
    level: str
    area: str
    """Which part of the daemon it is from, e.g. ``sessions``."""
    event: str
    fields: dict[str, Any]
    """What else it says: values that JSON has."""


class LogQuery(msgspec.Struct, frozen=True):
    """Which lines are meant; what is empty says nothing."""

    level: str = ""
    """This one and those above it."""
    area: str = ""
    user: str = ""
    text: str = ""
    """Somewhere in the event or in a value; large and small letters are the same."""
    after: int = 0
    """Only lines with a greater identifier."""

    def matches(self, line: LogLine) -> bool:
        """Whether a line is meant."""
        return (
            line.id > self.after
            and (not self.area or line.area == self.area)
            and (not self.level or _rank(line.level) >= _rank(self.level))
            and (not self.user or line.fields.get("user") == self.user)
            and (not self.text or self._says(line))
        )

    def _says(self, line: LogLine) -> bool:
        text = self.text.lower()
        return text in line.event.lower() or any(text in str(value).lower() for value in line.fields.values())


class RecentLines:
    """Keeps lines, and tells them to those who follow the log. Lines come from any thread.

    Args:
        keep: lines kept, at most; and no more than `most_bytes` in all.
        now: seconds since the epoch.
    """

    def __init__(self, keep: int, now: float, most_bytes: int = MOST_BYTES) -> None:
        self._keep = keep
        self._most_bytes = most_bytes
        self._lines: deque[bytes] = deque()  # encoded, which takes a fifth of the memory
        self._bytes = 0
        self._number = int(now * 1000) * 1000  # JavaScript can count that far, too
        self._followers: dict[object, tuple[LogQuery, Put]] = {}
        self._lock = threading.Lock()

    def resize(self, keep: int) -> None:
        """Keep so many lines from now on."""
        with self._lock:
            self._keep = keep
            self._shrink()

    def add(self, time: str, level: str, area: str, event: str, fields: dict[str, Any]) -> None:
        """Take a line; the dictionary is not changed afterwards."""
        with self._lock:
            self._number += 1
            line = LogLine(self._number, time, level, area, event, fields)
            encoded = msgspec.json.encode(line)
            self._lines.append(encoded)
            self._bytes += len(encoded)
            self._shrink()
            for query, put in self._followers.values():
                if query.matches(line):
                    put(msgspec.to_builtins(line))

    def find(self, query: LogQuery, limit: int) -> list[LogLine]:
        """Lines that are meant, the oldest first: the newest `limit`; after an identifier the next `limit`."""
        with self._lock:
            return self._find(query, limit)

    def follow(self, query: LogQuery, limit: int, put: Put) -> Callable[[], None]:
        """Give lines as `find` does and then those that come, and miss none; returns how to stop that."""
        token = object()
        with self._lock:
            for line in self._find(query, limit):
                put(msgspec.to_builtins(line))
            self._followers[token] = (query, put)
        return lambda: self._forget(token)

    def _forget(self, token: object) -> None:
        with self._lock:
            self._followers.pop(token, None)

    def _find(self, query: LogQuery, limit: int) -> list[LogLine]:
        found: list[LogLine] = []
        for line in self._decoded(newest_first=not query.after):
            if len(found) >= limit:
                break
            if query.matches(line):
                found.append(line)
        return found if query.after else found[::-1]

    def _decoded(self, *, newest_first: bool) -> Iterator[LogLine]:
        decoder = msgspec.json.Decoder(LogLine)
        return (decoder.decode(line) for line in (reversed(self._lines) if newest_first else self._lines))

    def _shrink(self) -> None:
        while self._lines and (len(self._lines) > self._keep or self._bytes > self._most_bytes):
            self._bytes -= len(self._lines.popleft())


def _rank(level: str) -> int:
    return LEVELS.index(level)
