"""Groups of users, which carry rules and limits."""

from __future__ import annotations

from datetime import datetime

import msgspec

from vpn.domain.limits import NO_LIMITS, NOT_SHARED, Limits, Shared

EVERYONE = "everyone"
"""The group that every user is in, last in the line of inheritance, whether or not somebody made it."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group as the store holds it."""

    name: str
    """Compared without regard to case, as users' names are."""
    note: str = ""
    limits: Limits = NO_LIMITS
    """What each member inherits."""
    shared: Shared = NOT_SHARED
    """What all members have together."""
    created_at: datetime
    updated_at: datetime
