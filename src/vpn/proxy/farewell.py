"""Refused clients, until they have read why."""

from __future__ import annotations

import socket
import time
from functools import partial

from vpn.domain.session import Session
from vpn.proxy.core import Core
from vpn.proxy.poller import EDGE, READ

FAREWELL = 2.0  # seconds a refused client has for reading its reply


class Farewell:
    """A refused client that has its reply to read.

    Closing a socket that holds unread bytes resets the connection, and the reset can overtake the reply. So
    what the client still sends is read and thrown away, for two seconds at most.
    """

    __slots__ = ("_core", "_sock", "deadline", "session")

    def __init__(self, core: Core, sock: socket.SocketType, session: Session) -> None:
        self._core = core
        self._sock = sock
        self.session = session
        self.deadline = core.poller.now + FAREWELL
        session.ended = time.time()
        core.connections.add(self)
        core.poller.hand_over(sock.fileno(), self._on_event)
        core.poller.soon(partial(self._on_event, 0))  # what is there already is not told again

    def expire(self) -> None:
        """The client had its time."""
        self._end()

    def cut(self, reason: str) -> None:
        """The client may not even read on."""
        self._end()

    def _on_event(self, mask: int) -> None:
        try:
            # One buffer per event: a client that keeps sending is answered by the deadline.
            if self._sock.recv_into(self._core.buffer):
                self._core.poller.modify(self._sock.fileno(), READ | EDGE)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end()

    def _end(self) -> None:
        if self in self._core.connections:
            self._core.poller.close(self._sock)
            self._core.end(self)
