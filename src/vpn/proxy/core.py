"""What the connections of one worker share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

from vpn.domain.session import Session
from vpn.proxy.control import Log, Report, Snapshot, Timeouts, Verify
from vpn.proxy.credentials import Credentials
from vpn.proxy.poller import Poller
from vpn.proxy.resolver import Resolver

SWEEP = 0.5  # seconds between two looks at who has been too slow
BUFFER = 256 * 1024  # bytes; one for all tunnels of the worker, empty between two events


class Connection(Protocol):
    """A client's connection in whichever phase it is."""

    session: Session
    deadline: float
    """On the poller's clock; when it has passed, `expire` is called."""

    def expire(self) -> None:
        """It took too long."""

    def cut(self, reason: str) -> None:
        """It may not go on."""


class Core:
    """One worker's state: who may do what, and who is doing it.

    Args:
        send: sends a message to the daemon.
    """

    def __init__(self, poller: Poller, send: Callable[[Verify | Log | Report], None]) -> None:
        self.poller = poller
        self.resolver = Resolver(poller)
        self.credentials = Credentials(send)
        self.timeouts = Timeouts(handshake=10, connect=10, idle=600)
        self.private_destinations = False
        self.connections: set[Connection] = set()
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self._send = send
        self._ended: list[Session] = []
        self._count = 0
        self._bytes_sent = 0
        self._bytes_received = 0
        # Unique over all workers and starts; sessions are numbered within.
        self._prefix = os.urandom(8).hex()
        poller.call_later(SWEEP, self._sweep)

    def log(self, level: str, event: str, **fields: Any) -> None:
        """Write a line to the daemon's log."""
        self._send(Log(level, event, fields))

    def next_session_id(self) -> str:
        """An identifier that no other session has."""
        self._count += 1
        return f"{self._prefix}-{self._count:x}"

    def apply(self, snapshot: Snapshot) -> None:
        """Work from this snapshot from now on, and cut what it forbids."""
        self.credentials.replace_users(snapshot.users)
        self.timeouts = snapshot.timeouts
        self.private_destinations = snapshot.private_destinations
        for connection in list(self.connections):
            user = connection.session.user
            if user and not self.credentials.allowed(user):
                connection.cut("user_disabled")

    def end(self, connection: Connection) -> None:
        """A connection is over; its session is complete."""
        self.connections.discard(connection)
        session = connection.session
        self._bytes_sent += session.bytes_sent
        self._bytes_received += session.bytes_received
        self._ended.append(session)

    def report(self) -> Report:
        """The counters, and the sessions that ended since the last call."""
        ended, self._ended = self._ended, []
        live = [connection.session for connection in self.connections]
        return Report(
            opened=self._count,
            active=len(live),
            bytes_sent=self._bytes_sent + sum(session.bytes_sent for session in live),
            bytes_received=self._bytes_received + sum(session.bytes_received for session in live),
            ended=ended,
        )

    def _sweep(self) -> None:
        self.poller.call_later(SWEEP, self._sweep)
        now = self.poller.now
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.expire()
