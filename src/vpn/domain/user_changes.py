"""What may be changed of users and groups besides their names, said field by field: what is left out stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from msgspec.structs import replace

from vpn.domain.group import Group, check_groups
from vpn.domain.limit_values import change_limits, change_shared
from vpn.domain.user import User, check_note


class UserFields(TypedDict, total=False):
    """What may be said of a user."""

    note: str
    enabled: bool
    groups: Sequence[str]
    """All of them, the nearest first."""
    limits: Mapping[str, Any]
    """Fields of `Limits`, as people write them; None: inherited again."""


class GroupFields(TypedDict, total=False):
    """What may be said of a group."""

    note: str
    limits: Mapping[str, Any]
    """Fields of `Limits`, as people write them; None: not said here."""
    shared: Mapping[str, Any]
    """Fields of `Shared`, as people write them; None: no limit."""


def change_user(user: User, changes: UserFields, now: datetime) -> User:
    """A user as the changes make him.

    Raises:
        Invalid: a value is not allowed.
    """
    made: dict[str, Any] = {"updated_at": now}
    if "note" in changes:
        made["note"] = check_note(changes["note"])
    if "enabled" in changes:
        made["enabled"] = changes["enabled"]
    if "groups" in changes:
        made["groups"] = check_groups(changes["groups"])
    if "limits" in changes:
        made["limits"] = change_limits(user.limits, changes["limits"], now)
    return replace(user, **made)


def change_group(group: Group, changes: GroupFields, now: datetime) -> Group:
    """A group as the changes make it.

    Raises:
        Invalid: a value is not allowed.
    """
    made: dict[str, Any] = {"updated_at": now}
    if "note" in changes:
        made["note"] = check_note(changes["note"])
    if "limits" in changes:
        made["limits"] = change_limits(group.limits, changes["limits"], now)
    if "shared" in changes:
        made["shared"] = change_shared(group.shared, changes["shared"], now)
    return replace(group, **made)
