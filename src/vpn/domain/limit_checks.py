"""Which limits may be set at all. Apart from `limits`, which workers import: they need none of this."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.limits import Limits, Shared
from vpn.domain.network import parse_network
from vpn.domain.schedule import find_zone, parse_schedule
from vpn.domain.units import LARGEST, show_duration, show_rate, show_size

MOST_DEVICES = 32
MOST_ITEMS = 64  # networks, inbounds or hours of one user
MOST_WARNINGS = 10
SLOWEST = 8000  # bits per second; less serves nobody
_FASTEST = 10**12
_SHORTEST_LIFE = 60  # seconds
_LONGEST_LIFE = 100 * 365 * 86400
_LONGEST_TEXT = 200  # characters

# The least and the most that each may be, and how it is shown; 0 says "no limit", where it is not a weight.
_RANGES: dict[str, tuple[int, int, Callable[[int], str]]] = {
    "max_connections": (1, 10**6, str),
    "connection_rate": (1, 10**6, str),
    "max_devices": (1, MOST_DEVICES, str),
    "expires_after": (_SHORTEST_LIFE, _LONGEST_LIFE, show_duration),
    "down": (SLOWEST, _FASTEST, show_rate),
    "up": (SLOWEST, _FASTEST, show_rate),
    "down_guaranteed": (SLOWEST, _FASTEST, show_rate),
    "up_guaranteed": (SLOWEST, _FASTEST, show_rate),
    "share": (1, 1000, str),
    "priority": (0, 7, str),
    "burst": (1500, 2**32, show_size),
    "data_limit": (1, LARGEST, show_size),
    "throttle": (SLOWEST, _FASTEST, show_rate),
}


def check_limits(limits: Limits) -> Limits:
    """Return `limits`, with their warnings in order, if they may be set.

    Raises:
        Invalid: a field is out of its range, or no network, time, zone or name; the message begins with its name.
    """
    _check_numbers(limits)
    for network in _check_texts("sources", limits.sources):
        _named("sources", parse_network, network)
    _check_texts("inbounds", limits.inbounds)
    for hours in _check_texts("hours", limits.hours):
        _named("hours", parse_schedule, hours)
    if limits.timezone is not None:
        _named("timezone", find_zone, limits.timezone[:_LONGEST_TEXT])
    if limits.warn_at is None:
        return limits
    warnings = tuple(sorted(set(limits.warn_at)))
    if len(warnings) > MOST_WARNINGS:
        raise Invalid("bad_limit", f"warn_at: {len(warnings)} warnings", f"give at most {MOST_WARNINGS}")
    if any(not 1 <= each <= 100 for each in warnings):
        raise Invalid("bad_limit", "warn_at: a warning is not from 1 to 100", "give percentages of data_limit")
    return msgspec.structs.replace(limits, warn_at=warnings)


def check_shared(shared: Shared) -> Shared:
    """Return `shared` if it may be set.

    Raises:
        Invalid: a field is out of its range; the message begins with its name.
    """
    _check_numbers(shared)
    return shared


def _check_numbers(limits: Limits | Shared) -> None:
    for field, (least, most, show) in _RANGES.items():
        value = getattr(limits, field, None)
        if value is None or least <= value <= most or (value == 0 and field != "share"):
            continue
        hint = f"give {show(least)} to {show(most)}" + (", or 0 for no limit" if least and field != "share" else "")
        raise Invalid("bad_limit", f"{field}: {show(value) if value >= 0 else value} is out of range", hint)
    for way in ("down", "up"):
        most, guaranteed = getattr(limits, way) or 0, getattr(limits, f"{way}_guaranteed") or 0
        if 0 < most < guaranteed:
            raise Invalid(
                "bad_limit",
                f"{way}_guaranteed: {show_rate(guaranteed)} is more than {way}, {show_rate(most)}",
                "guarantee at most what is allowed",
            )


def _check_texts(field: str, texts: Sequence[str] | None) -> Sequence[str]:
    texts = texts or ()
    if len(texts) > MOST_ITEMS:
        raise Invalid("bad_limit", f"{field}: there are {len(texts)}", f"give at most {MOST_ITEMS}")
    for text in texts:
        if not text or len(text) > _LONGEST_TEXT or not text.isprintable():
            raise Invalid("bad_limit", f"{field}: one is empty, too long or not printable", "see the documentation")
    return texts


def _named(field: str, check: Callable[[str], object], text: str) -> None:
    try:
        check(text)
    except Invalid as error:
        raise Invalid("bad_limit", f"{field}: {error.message}", error.hint) from None
