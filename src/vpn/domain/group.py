"""Groups of users, which carry rules and limits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.limits import NO_LIMITS, NOT_SHARED, Limits, Shared
from vpn.domain.user import canonical, check_name

EVERYONE = "everyone"
"""The group that every user is in, last in the line of inheritance, whether or not somebody made it."""


MOST_GROUPS = 32  # of one user


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


def check_group_name(name: str) -> str:
    """Return `name` if a group may bear it; what holds for users' names holds for groups'.

    Raises:
        Invalid: it is empty, too long, or has a character that it cannot have.
    """
    return check_name(name, "group")


def check_groups(names: Iterable[str]) -> tuple[str, ...]:
    """The groups of a user, the nearest first, if a user may be in them.

    Raises:
        Invalid: a name is not allowed or there twice, there are too many, or it is the group that all are in.
    """
    groups = tuple(check_group_name(name) for name in names)
    compared = [canonical(name) for name in groups]
    if EVERYONE in compared:
        raise Invalid("bad_groups", f"every user is in {EVERYONE} anyway", "leave it out")
    if len(groups) > MOST_GROUPS:
        raise Invalid("bad_groups", f"{len(groups)} groups are too many", f"give a user at most {MOST_GROUPS}")
    if len(set(compared)) < len(compared):
        raise Invalid("bad_groups", "a group is there twice", "name each once")
    return groups
