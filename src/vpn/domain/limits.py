"""Limits of users: what each may use, said at the user, or at a group and inherited.

Everything here is what somebody wrote; whether it holds at this moment is decided where it is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec

Reset = Literal["never", "hourly", "daily", "weekly", "monthly", "yearly", "rolling"]
"""When the counting of `data_limit` begins anew; rolling: the last 30 days count, always."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user may use. None: as the next one in the line of inheritance says, and in the end no limit.

    0, or an empty tuple, says "no limit" outright, whatever would be inherited.
    """

    max_connections: int | None = None
    """Connections at once, over all inbounds and workers."""
    connection_rate: int | None = None
    """New connections per second."""
    max_devices: int | None = None
    """Distinct source addresses at once; the addresses of one IPv6 /64 count as one."""
    sources: tuple[str, ...] | None = None
    """Networks that the user may come from."""
    inbounds: tuple[str, ...] | None = None
    """Names of the inbounds that the user may come by."""
    hours: tuple[str, ...] | None = None
    """When the user may connect: texts such as ``mon-fri 08:00-18:00`` (vpn.domain.schedule)."""
    timezone: str | None = None
    """The IANA name of the zone that `hours` and `reset` are meant in; none: UTC."""
    expires_at: datetime | None = None
    """From then on the user may not connect."""
    expires_after: int | None = None
    """Seconds from the first use until the user may not connect any more."""
    down: int | None = None
    """Bits per second towards the client, at most."""
    up: int | None = None
    """Bits per second from the client, at most."""
    down_guaranteed: int | None = None
    """Bits per second that are there for the user though others want more than there is."""
    up_guaranteed: int | None = None
    share: int | None = None
    """Weight, 1 to 1000, by which what nobody has a guarantee on is shared out; none: 1."""
    priority: int | None = None
    """Class, 0 to 7: what is not guaranteed goes to the higher ones first; none: 0."""
    burst: int | None = None
    """Bytes that may go at once after a pause; none: what goes in some 20 ms."""
    data_limit: int | None = None
    """Bytes, both directions together, within a period."""
    reset: Reset | None = None
    """The period of `data_limit`; none: never."""
    warn_at: tuple[int, ...] | None = None
    """Percentages of `data_limit` at which a warning is given."""
    throttle: int | None = None
    """Bits per second, each way, once `data_limit` is reached; none: the user is cut."""


class Shared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bandwidth that the members of a group have together. None: no limit, no guarantee.

    Fields mean what they mean in `Limits`.
    """

    down: int | None = None
    up: int | None = None
    down_guaranteed: int | None = None
    up_guaranteed: int | None = None
    share: int | None = None
    priority: int | None = None


NO_LIMITS = Limits()
NOT_SHARED = Shared()


def inherited(line: Iterable[Limits]) -> Limits:
    """The limits that hold, from a line that begins with the user's own: of each field the nearest that is said."""
    found: dict[str, Any] = {}
    for limits in line:
        for field in Limits.__struct_fields__:
            value = getattr(limits, field)
            if value is not None and field not in found:
                found[field] = value
    return Limits(**found)
