"""What a connection is before its handshake."""

from __future__ import annotations

import time
from typing import Any

from vpn.domain.session import Session, Status
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.poller import EDGE, READ


class Phase:
    """A connection that is not yet at its handshake."""

    __slots__ = ("_core", "_sock", "client", "deadline", "session")

    def __init__(self, core: Core, sock: Any, session: Session, client: Client, deadline: float) -> None:
        self._core = core
        self._sock = sock
        self.session = session
        self.client = client
        self.deadline = deadline

    def begin(self, *, registered: bool) -> None:
        """Take the connection.

        Raises:
            OSError: the kernel has no room for it.
        """
        if registered:
            self._core.poller.hand_over(self._sock.fileno(), self._on_event)
        else:
            self._core.poller.register(self._sock.fileno(), self._on_event, READ | EDGE)
        self._core.connections.add(self)

    def expire(self) -> None:
        """The client was too slow."""
        self._close("handshake_timeout")

    def cut(self, reason: str) -> None:
        """The client may not go on."""
        self._close(reason, "closed")

    def _on_event(self, mask: int) -> None:
        raise NotImplementedError

    def _close(self, reason: str, status: Status = "failed") -> None:
        session = self.session
        if not session.ended:
            if status == "failed":
                self._core.counters.note_error(reason)
            session.end(status, reason, time.time())
            self._core.poller.close(self._sock)
            self._core.end(self)
