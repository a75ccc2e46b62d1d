"""What a parser says, and what it is answered.

These are made once or more per connection, so they are msgspec structs: frozen, cheap, and kept out of
the garbage collector's way.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum

import msgspec


class Refusal(Enum):
    """Why a destination was not reached; each protocol has its own words for it."""

    NOT_ALLOWED = "not_allowed"
    NAME_NOT_FOUND = "name_not_found"
    CONNECTION_REFUSED = "connection_refused"
    NETWORK_UNREACHABLE = "network_unreachable"
    HOST_UNREACHABLE = "host_unreachable"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Send(msgspec.Struct, frozen=True, gc=False):
    """Bytes for the client."""

    data: bytes


class Authenticate(msgspec.Struct, frozen=True, gc=False):
    """Is this the password of this user? Answered with a bool."""

    user: str
    password: str


class Connect(msgspec.Struct, frozen=True, gc=False):
    """Open a TCP connection. `host` is an IP address in text or a name, without brackets."""

    host: str
    port: int


class Forward(msgspec.Struct, frozen=True, gc=False):
    """Open a connection, or take one that is there already, and send this HTTP request. Answered as `Connect`."""

    host: str
    port: int
    method: str
    head: bytes
    """The request for the destination, up to its body."""
    length: int
    """Bytes of body; `CHUNKED` if it comes in chunks."""
    old: bool
    """Whether the client speaks HTTP/1.0, which knows no chunks."""
    keep: bool
    """Whether the client wants to send another request afterwards."""
    upgrade: bool = False
    """Whether the client wants to speak another protocol afterwards."""


CHUNKED = -1
UNTIL_END = -2


class Bind(msgspec.Struct, frozen=True, gc=False):
    """Wait for one TCP connection from this host (0.0.0.0 or ::: from anybody). Answered with `Bound` or `Refused`.

    `port` is what the peer connects from, where the client knows it; it is a hint.
    """

    host: str
    port: int


class Associate(msgspec.Struct, frozen=True, gc=False):
    """Relay UDP datagrams. `host` and `port` are where the client will send from, zeros if it cannot say.

    Answered with `Bound` or `Refused`.
    """

    host: str
    port: int


class Bound(msgspec.Struct, frozen=True, gc=False):
    """A socket waits at this address: for a peer (`Bind`), or for the client's datagrams (`Associate`)."""

    host: str
    port: int


class Accept(msgspec.Struct, frozen=True, gc=False):
    """After `Bind`, once the client was told: wait for it. Answered with `Connected` (its address) or `Refused`."""


class Connected(msgspec.Struct, frozen=True, gc=False):
    """The connection stands.

    `host` and `port` are RFC 1928's BND.ADDR and BND.PORT: its local end, or after `Accept` the peer's.
    """

    host: str
    port: int


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The connection does not stand."""

    why: Refusal


Question = Authenticate | Connect | Forward | Bind | Associate | Accept
Step = Send | Question | None
Answer = bool | Connected | Bound | Refused | None
Parser = Generator[Step, Answer, None]
