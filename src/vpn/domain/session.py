"""Sessions: one proxied connection each, from request to close."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from vpn.domain.errors import Invalid

Status = Literal["active", "closed", "failed", "rejected_by_acl"]

_EPOCH = 1_577_836_800_000  # milliseconds: 2020 begins
_WORKER_BITS = 8
_COUNT_BITS = 14
_LOW_BITS = _WORKER_BITS + _COUNT_BITS
_LARGEST_COUNT = (1 << _COUNT_BITS) - 1
_LAST_MOMENT = (1 << 41) - (1 << 36)  # milliseconds: in 2087
LARGEST_ID = (1 << 63) - 1


class Phase(NamedTuple):
    """A step of a session on its way, of sessions that are traced."""

    name: str
    """What was over then: ``accepted``, ``secured`` (TLS), ``handshake`` (its protocol is known), ``authenticated``,
    ``ruled``, ``resolved``, ``connected``, ``first_byte``, ``ended``; in this order, without those that were not."""
    at: float
    """Seconds since the epoch at which it was over."""


class Session(msgspec.Struct, gc=False, array_like=True):
    """One connection of a client, accepted or refused.

    Byte counts are of user traffic, without the handshake; `sent` is from client to destination. Times
    are seconds since the epoch; `ended` is 0.0 while the session lives.

    It is kept in files as an array of its fields (vpn.proxy.journal): new ones come at the end, and have a default.
    """

    id: int
    """Of `SessionIds`; 0: a client that keeps its connection, and has not asked for anything yet."""
    inbound: str
    source_host: str
    source_port: int
    started: float
    protocol: str = ""
    user: str = ""
    host: str = ""
    port: int = 0
    address: str = ""
    """The address that was connected to, or that an upstream was asked for; `host` is what the client asked for."""
    status: Status = "active"
    reason: str = ""
    """Why it ended, or was refused: a short stable code such as ``eof`` or ``private_destination``."""
    bytes_sent: int = 0
    bytes_received: int = 0
    ended: float = 0.0
    packets_sent: int = 0
    """Datagrams, of UDP associations only."""
    packets_received: int = 0
    upstream: str = ""
    """The parent proxy it went through; empty: none."""
    rule: str = ""
    """Which rule decided, e.g. ``groups.staff.rules.0``, or ``default``; empty: none was asked."""
    server_name: str = ""
    """The name that the client's TLS asks for (SNI): inside the tunnel, else of an inbound in TLS; empty: none was
    seen."""
    connect_time: float = 0.0
    """Seconds from the request until the destination was reached (BIND: until the peer came); 0.0: it was not, or
    nothing was connected."""
    first_byte_time: float = 0.0
    """Seconds from then until the destination's first byte, of UDP from the first datagram until the first answer;
    0.0: there was none."""
    phases: list[Phase] | None = None
    """Of sessions that are traced (OpenTelemetry): the steps up to now."""
    engine: str = "embedded"

    def mark(self, step: str, now: float) -> None:
        """A step is over, of a session that is traced; `now` in seconds since the epoch."""
        if self.phases is not None:
            self.phases.append(Phase(step, now))

    def end(self, status: Status, reason: str, now: float) -> None:
        """It is over; `now` in seconds since the epoch."""
        self.status = status
        self.reason = reason
        self.ended = max(now, self.started)  # the clock may have been set back meanwhile


class SessionIds:
    """Identifiers in the order of time, which no other session has: milliseconds since 2020, worker, count.

    They fit into 63 bits, and last until 2087. Each is greater than the one before it, whatever the clock does.

    Args:
        worker: the worker's number.
        first: where to begin counting; any number.
        after: an identifier that was given earlier in the same place; 0: none.
    """

    __slots__ = ("_count", "_millisecond", "_worker")

    def __init__(self, worker: int, first: int = 0, after: int = 0) -> None:
        self._worker = (worker & ((1 << _WORKER_BITS) - 1)) << _COUNT_BITS
        self._count = first & _LARGEST_COUNT
        self._millisecond = max(1, (after >> _LOW_BITS) + 1 if after else 0)

    def next(self, now: float) -> int:
        """One for a session that begins now, in seconds since the epoch."""
        self._count = count = (self._count + 1) & _LARGEST_COUNT
        # Where the clock is set back, time stands still here until it has caught up; or goes on by a millisecond
        # where there would be too many in one. A clock that is far beyond our time is not followed.
        moment = min(int(now * 1000) - _EPOCH, _LAST_MOMENT)
        self._millisecond = millisecond = max(self._millisecond + (not count), moment)
        return millisecond << _LOW_BITS | self._worker | count


def first_id(moment: float) -> int:
    """The least identifier of sessions that began at this moment, in seconds since the epoch, or later."""
    return min(max(0, int(moment * 1000) - _EPOCH) << _LOW_BITS, LARGEST_ID)


def show_id(number: int) -> str:
    """An identifier as people and programs see it: sixteen hexadecimal digits."""
    return f"{number:016x}"


def parse_id(text: str) -> int:
    """An identifier from its text.

    Raises:
        Invalid: it is none.
    """
    try:
        number = int(text, 16) if len(text) == 16 and text.isalnum() else 0
    except ValueError:
        number = 0
    if not 0 < number <= LARGEST_ID:
        raise Invalid(
            "bad_session_id", f"{text!r} is not a session", "it has 16 hexadecimal digits; see: vpn sessions list"
        )
    return number
