"""Brute force: who has guessed too often is slowed, and then banned for a time.

Failures are counted against the address that they come from, and against the name that was tried: one
address may try many names, and one name may be tried from many addresses. Both are called subjects here.
"""

from __future__ import annotations

import re
from array import array
from datetime import UTC, datetime
from typing import Literal

import msgspec

from vpn.domain.address import pack, unpack
from vpn.domain.errors import Invalid
from vpn.domain.familiar import Familiar
from vpn.domain.network import Network, any_holds
from vpn.domain.user import NAME_LIMIT, NAME_PATTERN, canonical, check_name

FIRST_DELAY = 0.25  # seconds; doubled with each further failure ...
LONGEST_DELAY = 4.0  # ... up to this, which is within the time that clients have for their handshake
MOST_SUBJECTS = 65_536  # of each kind; whose last failure is the longest ago goes first
LONGEST_REASON = 200  # characters

_MAPPED = bytes(10) + b"\xff\xff"  # IPv4 within IPv6, RFC 4291 §2.5.5.2

Kind = Literal["source", "user"]
Subject = tuple[Kind, str]


class Ban(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may not come in for a time."""

    kind: Kind
    subject: str
    """``192.0.2.1``, ``2001:db8::/64``, or a user's name in the form under which names are compared."""
    reason: str
    failures: int
    """How many led to it; 0: a person wanted it."""
    created_at: datetime
    until: datetime
    exempt: tuple[str, ...] = ()
    """Sources that it does not hold for: where a banned user is familiar."""


class BanRules(msgspec.Struct, frozen=True, kw_only=True):
    """When somebody is slowed and banned. Times are in seconds."""

    enabled: bool = True
    trusted: tuple[Network, ...] = ()
    """Whose failures are not counted, and who is never banned."""
    slow_after: int = 5
    """Failures within `window` from which on answers come late."""
    ban_after: int = 20
    """Failures within `window` that make a ban."""
    window: float = 600.0
    ban_time: float = 300.0
    """How long the first ban is; each further one is twice as long."""
    max_ban_time: float = 86400.0
    """The longest a ban gets, and how long after it a subject counts as one that was banned before."""

    def trusts(self, host: str) -> bool:
        """Whether an address, or the first one of a /64, lies in a trusted network."""
        return lies_in(self.trusted, host.partition("/")[0])


def source_subject(host: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 one, as its holder may use all of that."""
    packed = _pack(host) if ":" in host else None
    if packed is None:
        return host
    return unpack(packed) if len(packed) == 4 else f"{unpack(packed[:8] + bytes(8))}/64"


def lies_in(networks: tuple[Network, ...], host: str) -> bool:
    """Whether an address lies in one of these networks."""
    packed = _pack(host)
    return packed is not None and any_holds(networks, packed)


def _pack(host: str) -> bytes | None:
    """The bytes of an address; of the IPv4 one where it is one within IPv6."""
    packed = pack(host.partition("%")[0])
    return packed[12:] if packed is not None and packed.startswith(_MAPPED) else packed


def user_subject(name: str) -> str:
    """A user's name as it is compared; empty where no user can bear it, so that nothing is kept of nonsense."""
    return canonical(name) if len(name) <= NAME_LIMIT and re.fullmatch(NAME_PATTERN, name) else ""


def parse_subject(text: str, kind: Kind | None = None) -> Subject:
    """Whom a person means: an address, or an IPv6 /64, is a source, everything else a user.

    Raises:
        Invalid: it is neither, or not of this kind.
    """
    if kind != "user":
        address, slash, length = text.partition("/")
        packed = pack(address)
        if packed is not None and (not slash or (length == "64" and len(packed) == 16)):
            return "source", source_subject(address)
        if kind == "source" or slash:
            raise Invalid(
                "bad_source", f"{text[:100]!r} is not a source", "write it as 192.0.2.1, 2001:db8::1 or 2001:db8::/64"
            )
    return "user", canonical(check_name(text))


def check_reason(reason: str) -> str:
    """Return `reason` if it can be kept.

    Raises:
        Invalid: it is longer than 200 characters, or has control characters.
    """
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Invalid("bad_reason", "the reason is too long, or not one line", f"use at most {LONGEST_REASON} letters")
    return reason


class _Record:
    """What a subject has done."""

    __slots__ = ("banned_until", "bans", "times")

    def __init__(self) -> None:
        self.times = array("d")  # of the failures since the last ban, the oldest first
        self.bans = 0
        self.banned_until = 0.0


class Failures:
    """Counts failures, and says who is to be slowed and banned.

    A user's ban does not hold where the user is `familiar`; nor do failures there count against the name, but
    against the address alone. Everything is bounded, names that nobody bears included: those are treated like
    all others, or the time an answer takes would tell which exist. `now` is in seconds since the epoch.
    """

    def __init__(self, rules: BanRules) -> None:
        self.rules = rules
        self.familiar = Familiar()
        self._records: dict[Kind, dict[str, _Record]] = {"source": {}, "user": {}}

    def record(self, source: str, user: str, now: float) -> list[Ban]:
        """A failure; returns the bans that it leads to. `user` may be empty: a name that nobody can bear."""
        subjects: list[Subject] = [("source", source)]
        if user and not self.familiar.knows(source, user, now):
            subjects.append(("user", user))
        bans = (self._add(kind, subject, now) for kind, subject in subjects)
        return [ban for ban in bans if ban is not None]

    def succeeded(self, source: str, user: str, now: float) -> None:
        """The right password. It does not undo failures: who has an account could guess at others' for ever."""
        self.familiar.see(source, user, now)

    def count(self, kind: Kind, subject: str, now: float) -> int:
        """Failures within the window, since the last ban."""
        record = self._records[kind].get(subject)
        return 0 if record is None else sum(time > now - self.rules.window for time in record.times)

    def delay(self, source: str, user: str, now: float) -> float:
        """Seconds that the answer to this client is kept back, before anything is verified."""
        if self.familiar.knows(source, user, now):
            return 0.0
        over = max(self.count("source", source, now), self.count("user", user, now)) - self.rules.slow_after
        # Bounded before it is raised to a power: what a person sets may be large.
        return 0.0 if over < 0 else min(FIRST_DELAY * 2 ** min(over, 30), LONGEST_DELAY)

    def forget(self, kind: Kind, subject: str) -> None:
        """As if nothing had been."""
        self._records[kind].pop(subject, None)

    def _add(self, kind: Kind, subject: str, now: float) -> Ban | None:
        rules, records = self.rules, self._records[kind]
        record = records.pop(subject, None) or _Record()
        if len(records) >= MOST_SUBJECTS:
            del records[next(iter(records))]
        records[subject] = record
        record.times = array("d", (time for time in record.times if time > now - rules.window))
        record.times.append(now)
        if len(record.times) < rules.ban_after:
            return None
        if now - record.banned_until > rules.max_ban_time:
            record.bans = 0
        seconds = min(rules.ban_time * 2 ** min(record.bans, 30), rules.max_ban_time)
        failures, record.times = len(record.times), array("d")
        record.bans += 1
        record.banned_until = now + seconds
        return Ban(
            kind=kind,
            subject=subject,
            reason="brute_force",
            failures=failures,
            created_at=datetime.fromtimestamp(now, UTC),
            until=datetime.fromtimestamp(now + seconds, UTC),
            exempt=tuple(self.familiar.sources(subject, now)) if kind == "user" else (),
        )
