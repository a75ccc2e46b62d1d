"""Trying a policy: what it says of one request, and why. It decides by what the workers decide by."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from vpn.domain.acl import CompiledPolicy, Decision, request_for
from vpn.domain.address import pack, special_kind, unpack
from vpn.domain.errors import Invalid, NotFound
from vpn.domain.policy import groups_of
from vpn.store.users import UserStore

RESOLVING = 5.0  # seconds
_NOWHERE = "127.0.0.1"

GroupsOf = Callable[[str], Awaitable[tuple[str, ...] | None]]
"""The groups of a user as the store knows them; None: there is no such user."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What to try."""

    user: str
    host: str
    port: int
    udp: bool = False
    source: str = _NOWHERE
    """The address that the client comes from."""
    at: float
    """Seconds since the epoch."""


class Judged(msgspec.Struct, frozen=True):
    """One address of the destination, and what is said of it."""

    address: str
    decision: Decision


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy says."""

    decision: Decision
    """Where a name has several addresses: of the first that is allowed, else of the first."""
    known: bool
    """Whether there is such a user."""
    groups: tuple[str, ...]
    """All whose rules count, nearest first."""
    judged: tuple[Judged, ...]
    """The addresses that had to be looked at; none, where the name was enough."""
    resolved: bool
    """False: the decision depends on the addresses of the name, and it has none."""
    special: str
    """What makes an address of the destination no public one, e.g. ``loopback``: whatever the policy says, it is
    refused unless the settings allow private destinations. Empty: none, as far as addresses are known."""


def stored_groups(users: UserStore) -> GroupsOf:
    """What tells the groups of a user of this store."""

    async def groups_of_user(name: str) -> tuple[str, ...] | None:
        try:
            return (await users.get(name)).groups
        except NotFound:
            return None

    return groups_of_user


async def try_policy(rules: CompiledPolicy, attempt: Attempt, stored: tuple[str, ...] | None) -> Trial:
    """Decide an attempt.

    Args:
        rules: the policy.
        attempt: what to decide.
        stored: the user's groups as the store knows them; None: there is no such user.

    Raises:
        Invalid: the source is no address.
    """
    source = pack(attempt.source)
    if source is None:
        raise Invalid("bad_source", f"{attempt.source!r} is no IP address", "give the address of a client")
    groups = stored or ()
    request = request_for(attempt.host, attempt.port, udp=attempt.udp, source=source, now=attempt.at)
    pool = rules.pool(attempt.user, groups)
    foreseen = pool.foresee(request)
    judged = [
        Judged(unpack(packed), pool.decide(msgspec.structs.replace(request, packed=packed)))
        for packed in (await _resolve(request.host) if foreseen is None else ())
    ]
    decision = foreseen or _foremost(judged) or pool.decide(request)
    return Trial(
        decision=decision,
        known=stored is not None,
        groups=groups_of(rules.policy, attempt.user, groups),
        judged=tuple(judged),
        resolved=foreseen is not None or bool(judged),
        special=_special([request.packed, *(pack(each.address) for each in judged)]),
    )


def _special(addresses: Sequence[bytes | None]) -> str:
    kinds = (special_kind(packed) for packed in addresses if packed is not None)
    return next((kind for kind in kinds if kind), "")


def _foremost(judged: Sequence[Judged]) -> Decision | None:
    decisions = [each.decision for each in judged]
    return next((decision for decision in decisions if decision.allowed), decisions[0] if decisions else None)


async def _resolve(host: str) -> list[bytes]:
    try:
        async with asyncio.timeout(RESOLVING):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return []
    packed = (pack(str(address[0])) for *_, address in found)
    return list(dict.fromkeys(each for each in packed if each is not None))
