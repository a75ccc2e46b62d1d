"""What all workers of a daemon are given, whom they turn to, and how each is seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from vpn.proxy.binding import Bound
from vpn.proxy.control import NO_RULES, Attempts, Bans, Rules, Snapshot, Tracing
from vpn.proxy.journal_reader import SessionSink
from vpn.proxy.limits import Counters
from vpn.proxy.logger import Logger
from vpn.proxy.meter import Meter


@dataclass
class Daemon:
    """Whom workers turn to."""

    verify: Callable[[str, str, str], Awaitable[tuple[bool, int]]]
    """Answers whether a password is a user's, and for which credential number; the third argument is the address
    that the client comes from."""
    on_attempts: Callable[[Attempts], None]
    """Takes what workers judged by themselves."""
    sessions: SessionSink
    """Hears what is new about sessions."""
    log: Logger


@dataclass
class Surroundings:
    """What all workers of a daemon are given, and whom they turn to."""

    bound: list[Bound]
    """The inbounds with their sockets, which stay open here: a worker started again gets the same ones."""
    daemon: Daemon
    memory: int
    """The descriptor of the workers' counters (vpn.proxy.limits)."""
    counters: Counters
    metered: int
    """The descriptor of the users' meter (vpn.proxy.meter)."""
    meter: Meter
    journals: list[int]
    """The descriptors of the workers' journals (vpn.proxy.journal)."""
    salts: int
    """The descriptor of the salts that clients have used (vpn.proxy.salts)."""
    on_hungry: Callable[[], None]
    """Called now and then while somebody has to wait because of his rate."""
    max_connections: int = 0
    snapshot: Snapshot | None = None
    """The newest one; there is one before the first worker starts."""
    bans: Bans = field(default_factory=Bans)
    tracing: Tracing = field(default_factory=Tracing)
    rules: Rules = NO_RULES
    """The newest ones."""


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker as the daemon sees it."""

    number: int
    pid: int
    ready: bool
    restarts: int
    active: int
    rss: int = 0
    """Bytes of memory."""
    fds: int = 0
    """Open descriptors."""
    loop_lag: float = 0.0
    """Seconds: the longest turn of its event loop in the time before its last report."""
