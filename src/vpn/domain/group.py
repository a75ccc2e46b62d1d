"""Groups of users, which carry rules and limits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.limits import NO_LIMITS, NOT_SHARED, Limits, Shared, inherited
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


class Inheritance:
    """What users inherit from these groups; of the many who are alike it is worked out once."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups = {canonical(group.name): group for group in groups}
        self._known: dict[tuple[Limits, tuple[str, ...]], Limits] = {}

    def limits(self, own: Limits, names: tuple[str, ...]) -> Limits:
        """The limits that hold: the user's own, then those of the groups of these names, then everyone's."""
        held = self._known.get((own, names))
        if held is None:
            found = (self._groups.get(canonical(name)) for name in (*names, EVERYONE))
            held = inherited([own, *(group.limits for group in found if group is not None)])
            self._known[own, names] = held
        return held

    def shared(self) -> dict[str, Shared]:
        """What the members of groups have together, by the groups' names as they are compared."""
        return {name: group.shared for name, group in self._groups.items()}


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
