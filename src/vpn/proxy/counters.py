"""What a worker counts besides bytes and sessions, for whoever observes it.

Counters only grow while the worker lives, and those of workers that died are added up with those of the living
(`added`), so that sums over all workers never go down. Gauges are of the moment, and of no meaning afterwards.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import msgspec

LOOKUP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds: the upper bounds of the buckets that lookups are counted in; the last bucket has none."""
MOST_KINDS = 64
"""Kinds of failure that are told apart; the rest is counted as ``other``."""
_DESCRIPTORS = Path("/proc/self/fd")


def _no_lookups() -> list[int]:
    return [0] * (len(LOOKUP_BOUNDS) + 1)


class WorkerCounters(msgspec.Struct, array_like=True):
    """Counted since the worker started."""

    accepted_remembered: int = 0
    """Right passwords that the worker knew to be right."""
    refused_remembered: int = 0
    """Wrong ones that it knew to be wrong."""
    accepted_asked: int = 0
    """Right ones by the daemon's verdict."""
    refused_asked: int = 0
    refused_unasked: int = 0
    """Passwords refused because too many waited for the daemon already."""
    sources_banned: int = 0
    """Clients turned away for where they come from."""
    users_banned: int = 0
    """Logins refused because the user is kept out, for a while, coming from there."""
    over_capacity: int = 0
    """Clients turned away because an inbound, or all together, had as many as they may have."""
    accept_pauses: int = 0
    """How often no client could be accepted for want of descriptors or memory."""
    handshake_errors: dict[str, int] = {}
    """Clients that got no further than the handshake, by reason (vpn.domain.reasons)."""
    tls_accepted: int = 0
    """Handshakes in TLS that clients came through."""
    tls_failed: int = 0
    allowed_by_rule: int = 0
    """Requests that a rule allowed; datagrams are not counted, which are judged one by one."""
    allowed_by_default: int = 0
    blocked_by_rule: int = 0
    blocked_by_default: int = 0
    blocked_by_guard: int = 0
    """Destinations that are not public. The rules had allowed them."""
    refused_by_limits: int = 0
    """Requests that a limit of the user's refused, or that no way out was left to."""
    lookups: int = 0
    """Names that DNS was asked for."""
    lookups_known: int = 0
    """Names whose addresses were known: from an answer of before, or from the settings."""
    lookups_failed: int = 0
    """Lookups without an address, those that timed out too."""
    lookups_timed_out: int = 0
    lookup_seconds: float = 0.0
    """The time that all of them took."""
    lookup_buckets: list[int] = msgspec.field(default_factory=_no_lookups)
    """How many took up to each of `LOOKUP_BOUNDS`, and no less than the bound before; the last: longer."""
    shaping_waits: int = 0
    """How often a user's flows had to wait, in one direction, because of a rate."""
    shaping_seconds: float = 0.0
    """The time of these."""
    quota_cuts: int = 0
    """Sessions closed because the user's quota ended."""
    sessions_lost: int = 0
    """Sessions that ended and that nobody will hear of: the daemon took none for long."""
    loop_seconds: float = 0.0
    """The time that the event loop was at work, and not waiting."""
    datagrams_unknown: int = 0
    """Datagrams to Shadowsocks that no user's key opens."""
    datagrams_replayed: int = 0
    """Authentic ones that had come before, or came much too late."""
    datagrams_dropped: int = 0
    """Datagrams lost for want of room: with a user who must wait, with keys to be tried, or in the largest datagram."""

    def note_error(self, reason: str) -> None:
        """A client got no further than the handshake."""
        errors = self.handshake_errors
        kind = reason if reason in errors or len(errors) < MOST_KINDS else "other"
        errors[kind] = errors.get(kind, 0) + 1

    def note_lookup(self, seconds: float) -> None:
        """A name was looked up, which took so long."""
        self.lookup_seconds += seconds
        place = next((number for number, bound in enumerate(LOOKUP_BOUNDS) if seconds <= bound), len(LOOKUP_BOUNDS))
        self.lookup_buckets[place] += 1

    def note_blocked(self, reason: str) -> None:
        """A request was refused by the rules, the guard, or a limit."""
        if reason == "blocked_by_rule":
            self.blocked_by_rule += 1
        elif reason == "not_allowed":
            self.blocked_by_default += 1
        elif reason.endswith("_destination"):
            self.blocked_by_guard += 1
        else:
            self.refused_by_limits += 1


class WorkerGauges(msgspec.Struct, array_like=True, frozen=True):
    """How a worker is at this moment."""

    rss: int = 0
    """Bytes of memory."""
    descriptors: int = 0
    """Open ones."""
    most_descriptors: int = 0
    """How many it may have open."""
    loop_lag: float = 0.0
    """Seconds: the longest turn of the event loop since the report before, which is how late anything was at most."""
    pipes: int = 0
    """Pipes in use, or kept for use, for splicing."""
    pipes_in_use: int = 0
    sessions_waiting: int = 0
    """Sessions that ended and for which the journal has no room now."""


def added(a: WorkerCounters, b: WorkerCounters) -> WorkerCounters:
    """The sums of all counters."""
    return WorkerCounters(*(_sum(getattr(a, name), getattr(b, name)) for name in WorkerCounters.__struct_fields__))


def _sum(a: Any, b: Any) -> Any:
    if isinstance(a, dict):
        return {kind: a.get(kind, 0) + b.get(kind, 0) for kind in a | b}
    if isinstance(a, list):
        return [one + other for one, other in zip(a, b, strict=True)]
    return a + b


def copied(counters: WorkerCounters) -> WorkerCounters:
    """The counters as they are now: what is counted on does not change it."""
    return added(counters, WorkerCounters())


def memory() -> int:
    """Bytes of memory that this process has, as the kernel counts them (resident)."""
    fd = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(fd, 256).split()[1]) * resource.getpagesize()
    finally:
        os.close(fd)


def descriptors(guess: int) -> int:
    """How many descriptors this process has open; before Linux 6.2, which does not tell for nothing, the guess."""
    return _DESCRIPTORS.stat().st_size or guess
