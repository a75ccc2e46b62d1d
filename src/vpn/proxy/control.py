"""The messages between the daemon and its workers.

They travel as msgpack, tagged with their type. The order on one channel is the order of sending.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vpn.domain.inbound import Inbound
from vpn.domain.session import Session


class Message(msgspec.Struct, frozen=True, tag=True):
    """What every message is."""


# --- daemon to worker


class Timeouts(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds."""

    handshake: float
    connect: float
    idle: float


class SnapshotUser(msgspec.Struct, frozen=True):
    """What a worker knows of a user: the name, and which password is the current one."""

    name: str
    credential: int
    enabled: bool


class Snapshot(Message, frozen=True):
    """The immutable state that a worker works from. Versions count up; a newer one replaces an older."""

    version: int
    users: list[SnapshotUser]
    timeouts: Timeouts
    private_destinations: bool


class Listen(Message, frozen=True):
    """Serve these inbounds. One listening socket per inbound travels with this message, in this order."""

    worker: int
    inbounds: list[Inbound]


class Verdict(Message, frozen=True):
    """The answer to `Verify`, and the credential number of the user that it holds for (0: nobody)."""

    id: int
    accepted: bool
    credential: int


class Drain(Message, frozen=True):
    """Accept nothing more, let sessions end, close what is left after `seconds`, report, and exit."""

    seconds: float


# --- worker to daemon


class Ready(Message, frozen=True):
    """The worker listens."""


class Applied(Message, frozen=True):
    """The worker works from this snapshot, and has cut what it forbids."""

    version: int


class Verify(Message, frozen=True):
    """Is this the password of this user? Answered with `Verdict`."""

    id: int
    user: str
    password: str


class Report(Message, frozen=True):
    """Counters since the worker started, and the sessions that ended since the last report.

    Byte counts include the live sessions'.
    """

    opened: int
    active: int
    bytes_sent: int
    bytes_received: int
    ended: list[Session]


class Log(Message, frozen=True):
    """A line for the daemon's log."""

    level: str
    event: str
    fields: dict[str, Any]


ToWorker = Snapshot | Listen | Verdict | Drain
ToDaemon = Ready | Applied | Verify | Report | Log
