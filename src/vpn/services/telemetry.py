"""Noteworthy events of the last hours: lines of the log from warning up, and some that are good to know.

What happens again and again is one event with a count, so that a storm of failed logins does not wash away what
else has happened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import msgspec

Put = Callable[[Mapping[str, Any]], None]
Severity = Literal["info", "warning", "error", "critical"]

# What is good to know although nothing is wrong: (category, message).
NOTEWORTHY = frozenset(
    {
        ("audit", "sessions terminated"),
        ("bans", "ban ended"),
        ("bans", "ban lifted"),
        ("daemon", "ready"),
        ("daemon", "stopping"),
        ("daemon", "the settings were reloaded"),
        ("policy", "the policy was changed"),
        ("policy", "the policy was read again"),
        ("proxy", "upstream is back"),
        ("proxy", "worker started again"),
    }
)
# Of these the details are not told apart: every client could make events as many as it likes.
_GATHERED = frozenset({("sessions", "authentication failed")})
GATHER = timedelta(minutes=5)  # since an event was last seen, for it to be the same


class TelemetryEvent(msgspec.Struct):
    """Something noteworthy."""

    id: int
    timestamp: datetime
    """When it was seen last."""
    severity: Severity
    category: str
    """The area of the log."""
    message: str
    details: dict[str, Any]
    """Of the last time."""
    count: int = 1
    """How often it was seen, one time after the other."""


class Telemetry:
    """Remembers noteworthy events. They come from any thread.

    Args:
        most: events remembered.
        retention: for how long.
    """

    def __init__(self, most: int, retention: timedelta, clock: Callable[[], datetime]) -> None:
        self._most = most
        self._retention = retention
        self._clock = clock
        self._events: dict[int, tuple[object, TelemetryEvent]] = {}  # what is the same and the event; the newest last
        self._latest: dict[object, int] = {}
        self._number = int(clock().timestamp() * 1000) * 1000
        self._followers: dict[object, Put] = {}
        self._lock = threading.Lock()

    def hear(self, time: str, level: str, area: str, event: str, fields: dict[str, Any]) -> None:
        """Take a line of the log, if it is noteworthy."""
        kind = (area, event)
        if level == "debug" or (level == "info" and kind not in NOTEWORTHY):
            return
        moment = datetime.fromisoformat(time)
        details = {name: value for name, value in fields.items() if name != "left_out"}
        key = (level, *kind, b"" if kind in _GATHERED else msgspec.json.encode(details, order="sorted"))
        with self._lock:
            same = self._events.get(self._latest.get(key, 0))
            if same is not None and moment - same[1].timestamp <= GATHER:
                found = self._events.pop(same[1].id)[1]
            else:
                self._number += 1
                found = TelemetryEvent(self._number, moment, cast("Severity", level), area, event, details, 0)
            found.timestamp, found.details = moment, details
            found.count += 1 + fields.get("left_out", 0)
            self._events[found.id] = (key, found)
            self._latest[key] = found.id
            self._forget()
            for put in self._followers.values():
                put(msgspec.to_builtins(found))

    def follow(self, put: Put) -> Callable[[], None]:
        """Tell of events from now on, also of those that are seen again; returns how to stop that.

        `put` is called from any thread.
        """
        token = object()
        with self._lock:
            self._followers[token] = put

        def leave() -> None:
            with self._lock:
                del self._followers[token]

        return leave

    def find(
        self,
        *,
        minutes: float | None = None,
        limit: int = 100,
        severity: str | None = None,
        category: str | None = None,
    ) -> list[TelemetryEvent]:
        """Events, the newest first; `minutes` until now."""
        with self._lock:
            self._forget()
            since = None if minutes is None else self._clock() - timedelta(minutes=minutes)
            found = [
                msgspec.structs.replace(event)  # those remembered change
                for _, event in reversed(self._events.values())
                if (since is None or event.timestamp >= since)
                and (severity is None or event.severity == severity)
                and (category is None or event.category == category.lower())
            ]
        return found[:limit]

    def _forget(self) -> None:
        """Drop what is too old or too much."""
        oldest = self._clock() - self._retention
        while self._events:
            key, event = next(iter(self._events.values()))
            if len(self._events) <= self._most and event.timestamp >= oldest:
                break
            del self._events[event.id]
            if self._latest.get(key) == event.id:
                del self._latest[key]
