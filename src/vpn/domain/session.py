"""Sessions: one proxied connection each, from request to close."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["active", "closed", "failed", "rejected_by_acl"]


class Session(msgspec.Struct, gc=False):
    """One connection of a client, accepted or refused.

    Byte counts are of user traffic, without the handshake; `sent` is from client to destination. Times
    are seconds since the epoch; `ended` is 0.0 while the session lives.
    """

    id: str
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

    def end(self, status: Status, reason: str, now: float) -> None:
        """It is over; `now` in seconds since the epoch."""
        self.status = status
        self.reason = reason
        self.ended = now
