"""The policy: which users may go where, as somebody wrote it.

What it means is decided in vpn.domain.acl; how it is written, and what may be written, in
vpn.domain.policy_document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from vpn.domain.group import EVERYONE
from vpn.domain.user import canonical

Action = Literal["allow", "block"]
Protocol = Literal["tcp", "udp"]


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule: a connection that fits all that is said here is allowed, or blocked."""

    action: Action
    description: str = ""
    destinations: tuple[str, ...] = ("*",)
    """Patterns (vpn.domain.destination), countries among them; one has to fit."""
    ports: tuple[str, ...] = ("*",)
    """``443``, ``8000-9000`` or ``*``; one has to fit."""
    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    sources: tuple[str, ...] = ()
    """Networks that the client comes from; empty: from anywhere."""
    hours: tuple[str, ...] = ()
    """When it holds (vpn.domain.schedule); empty: always."""
    timezone: str = "UTC"
    """The IANA name of the zone that `hours` are meant in."""
    priority: int = 0
    """Among rules of the same action the higher one is the one that decides."""
    enabled: bool = True


class GroupRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the policy says of a group."""

    rules: tuple[Rule, ...] = ()


class UserRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the policy says of a user: groups besides those that the store knows, and rules of the user's own."""

    groups: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


class Policy(msgspec.Struct, frozen=True):
    """All rules. Names of users and groups are in the form under which they are compared."""

    default: Action = "block"
    """What happens to what no rule fits."""
    groups: dict[str, GroupRules] = {}
    users: dict[str, UserRules] = {}

    def rules(self) -> Iterator[tuple[str, str, int, Rule]]:
        """All rules, each with ``users`` or ``groups``, whose it is, and its number there.

        Users' come before groups'; else they come in the order of the document.
        """
        for user, of_user in self.users.items():
            for number, rule in enumerate(of_user.rules):
                yield "users", user, number, rule
        for group, of_group in self.groups.items():
            for number, rule in enumerate(of_group.rules):
                yield "groups", group, number, rule


ALLOW_ALL = Policy(default="allow")
"""What holds until somebody says something else."""


def groups_of(policy: Policy, user: str, stored: Sequence[str]) -> tuple[str, ...]:
    """The groups of a user in the form under which they are compared, nearest first.

    Args:
        policy: may give the user more groups.
        user: anybody, known or not.
        stored: the user's groups as the store knows them, nearest first.
    """
    known = policy.users.get(canonical(user))
    named = [*map(canonical, stored), *(known.groups if known is not None else ())]
    return (*dict.fromkeys(name for name in named if name != EVERYONE), EVERYONE)


def name_of(kind: str, holder: str, number: int) -> str:
    """What a rule is called, e.g. ``groups.staff.rules.0``."""
    return f"{kind}.{holder}.rules.{number}"
