"""Whether a user may connect at a moment, and when that may change. Decided here for every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from vpn.domain.limits import Limits
from vpn.domain.quota import next_reset, zone_of
from vpn.domain.schedule import parse_schedules


class Person(Protocol):
    """What has to be known of a user."""

    @property
    def enabled(self) -> bool:
        """Whether the user may connect at all."""

    @property
    def first_used_at(self) -> datetime | None:
        """The first time the user was let in."""


def blocked(user: Person, limits: Limits, used: int, now: datetime) -> str:
    """Why a user may not connect: ``user_disabled``, ``user_expired``, ``outside_hours``, ``over_quota``; or nothing.

    Args:
        limits: those that hold for the user, inherited ones among them.
        used: bytes in the present period of the quota.
    """
    if not user.enabled:
        return "user_disabled"
    expiry = expires(user, limits)
    if expiry is not None and expiry <= now:
        return "user_expired"
    if limits.hours and not parse_schedules(limits.hours, limits.timezone or "UTC").holds(now.timestamp()):
        return "outside_hours"
    if limits.data_limit and used >= limits.data_limit and not limits.throttle:
        return "over_quota"
    return ""


def throttled(limits: Limits, used: int) -> Limits:
    """The limits that hold when so much of the quota is used: at its end, rates go down to `throttle`."""
    if not limits.data_limit or not limits.throttle or used < limits.data_limit:
        return limits
    least = limits.throttle
    values = {name: getattr(limits, name) for name in Limits.__struct_fields__}
    for maximum, guaranteed in (("down", "down_guaranteed"), ("up", "up_guaranteed")):
        values[maximum] = min(values[maximum] or least, least)
        values[guaranteed] = min(values[guaranteed] or 0, least)
    return Limits(**values)


def expires(user: Person, limits: Limits) -> datetime | None:
    """When a user expires; None: never, or not before the first use."""
    ends = [limits.expires_at] if limits.expires_at is not None else []
    if limits.expires_after and user.first_used_at is not None:
        ends.append(user.first_used_at + timedelta(seconds=limits.expires_after))
    return min(ends, default=None)


def next_look(user: Person, limits: Limits, now: datetime) -> datetime | None:
    """The next moment at which `blocked` may answer otherwise though nothing is changed or moved; None: never."""
    looks = []
    expiry = expires(user, limits)
    if expiry is not None and expiry > now:
        looks.append(expiry)
    if limits.hours:
        change = parse_schedules(limits.hours, limits.timezone or "UTC").next_change(now.timestamp())
        if change != float("inf"):
            looks.append(datetime.fromtimestamp(change, UTC))
    if limits.data_limit:
        reset = next_reset(limits.reset or "never", now, zone_of(limits))
        if reset is not None:
            looks.append(reset)
    return min(looks, default=None)
