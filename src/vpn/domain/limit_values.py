"""Limits as people and programs write them: whole numbers, or texts such as ``50GB``, ``20mbit`` and ``30d``.

One reading for all that limits come by: the API, rows of a file, options of a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.limit_checks import check_limits, check_shared
from vpn.domain.limits import Limits, Reset, Shared
from vpn.domain.units import parse_duration, parse_moment, parse_rate, parse_size

_NOTHING = ("none", "unlimited")
"""What says "no limit" outright, besides 0 and nothing."""


def change_limits(limits: Limits, changes: Mapping[str, Any], now: datetime) -> Limits:
    """`limits` with some fields set. What is None is inherited again; durations to a moment count from `now`.

    Raises:
        Invalid: a field is not known or its value not allowed; the message begins with its name.
    """
    return check_limits(msgspec.structs.replace(limits, **_read(changes, Limits, now)))


def change_shared(shared: Shared, changes: Mapping[str, Any], now: datetime) -> Shared:
    """`shared` with some fields set; None: no limit, no guarantee.

    Raises:
        Invalid: a field is not known or its value not allowed; the message begins with its name.
    """
    return check_shared(msgspec.structs.replace(shared, **_read(changes, Shared, now)))


def _read(changes: Mapping[str, Any], kind: type[Limits | Shared], now: datetime) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for field, value in changes.items():
        if field not in kind.__struct_fields__:
            hint = f"there are {', '.join(kind.__struct_fields__)}"
            raise Invalid("bad_limit", f"{field[:64]!r} is not a limit", hint)
        try:
            read[field] = None if value is None else _READERS[field](value, now)
        except Invalid as error:
            raise Invalid("bad_limit", f"{field}: {error.message}", error.hint) from None
    return read


def _number(parse: Callable[[str], int]) -> Callable[[Any, datetime], int]:
    def read(value: Any, _now: datetime) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            return 0 if value.strip().lower() in _NOTHING else parse(value)
        raise _unreadable(value, "give a whole number, or a text such as 50GB, 20mbit or 30d")

    return read


def _count(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise Invalid("bad_limit", f"{text[:64]!r} is not a whole number", "give one such as 20")
    return int(text)


def _texts(separators: str) -> Callable[[Any, datetime], tuple[str, ...]]:
    def read(value: Any, _now: datetime) -> tuple[str, ...]:
        if isinstance(value, str):
            return () if value.strip().lower() in _NOTHING else split(value, separators)
        if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
            return tuple(each.strip() for each in value)
        raise _unreadable(value, "give a list of texts, or one text")

    return read


def split(text: str, separators: str = ",;") -> tuple[str, ...]:
    """The parts of a list in one text; empty ones are left out."""
    for separator in separators:
        text = text.replace(separator, "\n")
    return tuple(part.strip() for part in text.split("\n") if part.strip())


def _percentages(value: Any, now: datetime) -> tuple[int, ...]:
    items = value if isinstance(value, (list, tuple)) else _texts(",;")(str(value), now)
    return tuple(_number(_percentage)(each, now) for each in items)


def _percentage(text: str) -> int:
    return _count(text.strip().removesuffix("%"))


def _moment(value: Any, now: datetime) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, str):
        return parse_moment("never" if value.strip().lower() in _NOTHING else value, now)
    raise _unreadable(value, "give a date such as 2026-12-31, or a duration from now such as 30d")


def _reset(value: Any, _now: datetime) -> Reset:
    periods = get_args(Reset)
    for period in periods:
        if isinstance(value, str) and value.strip().lower() == period:
            found: Reset = period
            return found
    raise _unreadable(value, f"give one of {', '.join(periods)}")


def _text(value: Any, _now: datetime) -> str:
    if isinstance(value, str):
        return value.strip()
    raise _unreadable(value, "give a text")


def _unreadable(value: Any, hint: str) -> Invalid:
    return Invalid("bad_limit", f"{str(value)[:64]!r} cannot be read", hint)


_READERS: dict[str, Callable[[Any, datetime], Any]] = {
    "max_connections": _number(_count),
    "connection_rate": _number(_count),
    "max_devices": _number(_count),
    "sources": _texts(",;"),
    "inbounds": _texts(",;"),
    "hours": _texts(";"),
    "timezone": _text,
    "expires_at": _moment,
    "expires_after": _number(parse_duration),
    "down": _number(parse_rate),
    "up": _number(parse_rate),
    "down_guaranteed": _number(parse_rate),
    "up_guaranteed": _number(parse_rate),
    "share": _number(_count),
    "priority": _number(_count),
    "burst": _number(parse_size),
    "data_limit": _number(parse_size),
    "reset": _reset,
    "warn_at": _percentages,
    "throttle": _number(parse_rate),
}
