"""Refused clients, until they have read why."""

from __future__ import annotations

import socket
import time
from functools import partial

from vpn.domain.session import Session
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.poller import EDGE, READ
from vpn.proxy.stream import DONTWAIT, Stream

FAREWELL = 2.0  # seconds a refused client has for reading its reply


class Farewell:
    """A client that has its last reply to read, after which we say nothing.

    Closing a socket that holds unread bytes resets the connection, and the reset can overtake the reply. So
    what the client still sends is read and thrown away, for two seconds at most.

    Its session is over when the farewell begins, and is written down then: nothing changes any more.
    """

    __slots__ = ("_core", "_stream", "client", "deadline", "session")

    def __init__(self, core: Core, stream: Stream, session: Session, client: Client) -> None:
        self._core = core
        self._stream = stream
        self.session = session
        self.client = client
        self.deadline = core.poller.now + FAREWELL
        if not session.ended:
            session.end(session.status, session.reason, time.time())
        core.book(session)
        core.connections.add(self)
        core.poller.hand_over(stream.fileno(), self._on_event)
        try:
            stream.shutdown(socket.SHUT_WR)
        except OSError:
            self._end()
            return
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
            if self._stream.recv_into(self._core.buffer, 0, DONTWAIT):
                self._core.poller.modify(self._stream.fileno(), READ | EDGE)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end()

    def _end(self) -> None:
        if self in self._core.connections:
            self._core.poller.close(self._stream)
            self._core.leave(self)
