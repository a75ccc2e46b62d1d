"""Who gets how much of the bandwidth that users share, in one direction.

    all users together ─► groups, and users that share with no group ─► the users of a group

At each step what there is goes first to guarantees, then to who wants more, the higher priorities first and
within one by share, and what nobody wants is lent by share to all. Rates are bytes per second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import exp2, inf
from typing import Literal, NamedTuple

import msgspec

from vpn.domain.limits import NOT_SHARED, Limits, Shared

Direction = Literal["down", "up"]

LEAST = 1024
"""Bytes per second that everybody has at least, while there is so much: a connection that gets nothing breaks."""
_HEADROOM = 1.25  # of what moved lately; who needs more than that has to wait, and is then given all he wants
_HALF = 0.05  # seconds in which an estimate halves: a short pause in a transfer is not its end


class Claim(msgspec.Struct, frozen=True):
    """What a user may have, or a group."""

    maximum: float = inf
    guaranteed: float = 0
    share: int = 1
    priority: int = 0


class Asker(NamedTuple):
    """A user, and what he wants at the moment."""

    claim: Claim
    wanted: float = inf


class Branch(NamedTuple):
    """A group and its users; a user that shares with no group is one by himself."""

    claim: Claim
    askers: Sequence[Asker]


class Sharer(NamedTuple):
    """A user to be planned for."""

    slot: int
    """Where the user is counted (vpn.proxy.meter)."""
    groups: Sequence[str]
    """The nearest first."""
    limits: Limits
    """Those that hold, inherited ones among them."""


class Plan(NamedTuple):
    """Who shares what with whom, in one direction."""

    most: float
    """What all have together; inf: no limit."""
    alone: dict[int, int]
    """By slot, the rates of those who share with nobody; 0: as fast as it goes."""
    branches: list[tuple[Claim, dict[int, Claim]]]
    """Groups, and the claims of their users by slot; a user without a group is one by himself."""


class _Part(NamedTuple):
    """One of several among whom something is divided."""

    floor: float
    wanted: float
    maximum: float
    share: int
    priority: int


def plan(users: Iterable[Sharer], groups: Mapping[str, Shared], most: int, direction: Direction) -> Plan:
    """Who shares what.

    Args:
        users: all of them.
        groups: what groups have together, by name.
        most: bits per second that all have together; 0: no limit.
        direction: which of the fields in limits count.
    """
    branches: dict[str | int, tuple[Claim, dict[int, Claim]]] = {}
    alone: dict[int, int] = {}
    for slot, names, limits in users:
        claim = _claim(limits, direction)
        name = next((name for name in names if groups.get(name, NOT_SHARED) != NOT_SHARED), "")
        shared = _claim(groups[name], direction) if name else claim
        if not most and (not name or shared.maximum == inf):
            alone[slot] = 0 if claim.maximum == inf else max(1, int(claim.maximum))
        else:
            branches.setdefault(name or slot, (shared, {}))[1][slot] = claim
    return Plan(most / 8 if most else inf, alone, list(branches.values()))


def _claim(limits: Limits | Shared, direction: Direction) -> Claim:
    """From bits to bytes."""
    maximum = getattr(limits, direction) or 0
    guaranteed = getattr(limits, f"{direction}_guaranteed") or 0
    return Claim(maximum / 8 if maximum else inf, guaranteed / 8, limits.share or 1, limits.priority or 0)


def allocate(most: float, branches: Sequence[Branch]) -> list[list[float]]:
    """The rates of all askers, by branch.

    They never add up to more than `most`, nor within a branch to more than its maximum. A guarantee counts as
    far as it is wanted; where guarantees exceed what there is, all are cut in the same proportion.
    """
    leaves = [[_leaf(asker) for asker in branch.askers] for branch in branches]
    tops = [_top(branch.claim, parts) for branch, parts in zip(branches, leaves, strict=True)]
    rates = _divide(most, tops)
    return [_divide(rate, parts) if len(parts) > 1 else [rate] for rate, parts in zip(rates, leaves, strict=True)]


def estimate(moved: int, seconds: float, before: float) -> float:
    """What somebody wants who did not have to wait, from the bytes of the last seconds and the estimate before."""
    return max(moved / seconds * _HEADROOM, before * exp2(-seconds / _HALF))


def _leaf(asker: Asker) -> _Part:
    claim = asker.claim
    wanted = min(max(asker.wanted, LEAST), claim.maximum)
    return _Part(min(max(claim.guaranteed, LEAST), wanted), wanted, claim.maximum, claim.share, claim.priority)


def _top(claim: Claim, parts: Sequence[_Part]) -> _Part:
    """A branch as one of those who share in everything: what its users are guaranteed, it is."""
    if len(parts) == 1:
        return _narrowed(claim, parts[0])
    maximum = min(claim.maximum, sum([part.maximum for part in parts]))
    wanted = min(maximum, sum([part.wanted for part in parts]))
    floor = min(wanted, max(claim.guaranteed, sum([part.floor for part in parts])))
    return _Part(floor, wanted, maximum, claim.share, claim.priority)


def _narrowed(claim: Claim, part: _Part) -> _Part:
    maximum = min(claim.maximum, part.maximum)
    wanted = min(maximum, part.wanted)
    return _Part(min(wanted, max(claim.guaranteed, part.floor)), wanted, maximum, claim.share, claim.priority)


def _divide(amount: float, parts: Sequence[_Part]) -> list[float]:
    if len(parts) == 1:
        return [min(amount, parts[0].maximum)]
    if amount == inf:
        return [part.maximum for part in parts]
    floors = sum([part.floor for part in parts])
    if floors >= amount:
        return [part.floor * amount / floors if floors else 0.0 for part in parts]
    rates = [part.floor for part in parts]
    rest = amount - floors
    classes: dict[int, list[int]] = {}
    for index, part in enumerate(parts):
        if part.wanted > part.floor:
            classes.setdefault(part.priority, []).append(index)
    for _, members in sorted(classes.items(), reverse=True):
        rest = _fill(rates, [(index, parts[index].wanted, parts[index].share) for index in members], rest)
    _fill(rates, [(index, part.maximum, part.share) for index, part in enumerate(parts)], rest)
    return rates


def _fill(rates: list[float], caps: list[tuple[int, float, int]], rest: float) -> float:
    """Raise these rates (place, cap, share) by share, none above its cap; returns what is left over."""
    if rest <= 0:
        return 0.0
    shares = sum([share for _, _, share in caps])
    for room, index, cap, share in sorted(
        [((cap - rates[index]) / share, index, cap, share) for index, cap, share in caps]
    ):
        level = rest / shares
        if room <= level:
            rest -= cap - rates[index]
            rates[index] = cap
        else:
            rest -= level * share
            rates[index] += level * share
        shares -= share
    return max(0.0, rest)
