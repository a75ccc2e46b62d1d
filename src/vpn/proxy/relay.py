"""Tunnels: bytes from one socket to the other, both ways.

Each direction sends at once what it read. When the sink's buffer is full, the rest waits in `pending` and
the source is not read until it is gone: that is the backpressure. The end of a stream is passed on with
SHUT_WR while the other direction goes on; a reset is passed on as a reset, so that a truncated stream never
looks complete.
"""

from __future__ import annotations

import socket
import struct
import time
from functools import partial
from select import EPOLLERR

from vpn.domain.session import Session, Status
from vpn.proxy.core import Core
from vpn.proxy.poller import EDGE, ENDING, HANGUP, READ, READABLE, WRITE

BURST = 4  # buffers moved for one tunnel before the others have their turn
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class _Flow:
    """One direction of a tunnel."""

    __slots__ = ("armed", "ended", "pending", "queued", "sink", "source")

    def __init__(self, source: socket.SocketType, sink: socket.SocketType, *, armed: bool) -> None:
        self.source = source
        self.sink = sink
        self.pending = b""
        self.ended = False
        self.queued = False
        """Whether it is to go on after the others have had their turn."""
        self.armed = armed
        """Whether the poller reports that the sink takes bytes again."""


class Relay:
    """One tunnel, from the client's welcome to the end of both directions.

    Both sockets are registered with the poller and belong to the relay from now on.
    """

    __slots__ = ("_core", "_down", "_up", "deadline", "session")

    def __init__(self, core: Core, session: Session, client: socket.SocketType, remote: socket.SocketType) -> None:
        self._core = core
        self.session = session
        self.deadline = core.poller.now + core.timeouts.idle
        self._up = _Flow(client, remote, armed=False)
        self._down = _Flow(remote, client, armed=False)

    def start(self, early: bytes, *, client_unread: bool, remote_unread: bool) -> None:
        """Begin with the bytes that the client sent early.

        A socket that is `unread` may hold bytes of which no event will tell again.
        """
        core = self._core
        core.connections.add(self)
        core.poller.hand_over(self._up.source.fileno(), self._on_client)
        core.poller.hand_over(self._down.source.fileno(), self._on_remote)
        if early:
            self._push(self._up, memoryview(early))
        if client_unread:
            self._pump(self._up, ENDING)
        if remote_unread:
            self._pump(self._down, ENDING)

    def expire(self) -> None:
        """Nothing moved for too long."""
        self._end("closed", "idle_timeout")

    def cut(self, reason: str) -> None:
        """Close both sides at once, in a way that neither takes for a proper end."""
        self._break(reason, "closed")

    def _on_client(self, mask: int) -> None:
        self._on_event(mask, self._up, self._down)

    def _on_remote(self, mask: int) -> None:
        self._on_event(mask, self._down, self._up)

    def _on_event(self, mask: int, outward: _Flow, inward: _Flow) -> None:
        """Something happened on a socket that is the source of `outward` and the sink of `inward`."""
        self.deadline = self._core.poller.now + self._core.timeouts.idle
        if mask & WRITE and inward.pending:
            self._flush(inward)
        if not mask & READABLE or self.session.ended:
            return
        if outward.pending and mask & EPOLLERR:
            self._break("reset")  # the reset would not be told again when there is room for what is pending
        elif not outward.ended:
            self._pump(outward, mask)
        elif mask & HANGUP:  # both ways are shut though the other direction has more to say
            self._break("reset")

    def _pump(self, flow: _Flow, mask: int) -> None:
        """Move what the source has; `mask` tells whether its end may follow closely."""
        if flow.pending or flow.ended or self.session.ended:
            return
        buffer = self._core.buffer
        size = len(buffer)
        for _ in range(BURST):
            try:
                count = flow.source.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                self._break("reset")
                return
            if not count:
                self._pass_on_end(flow)
                return
            if not self._push(flow, self._core.view[:count]):
                return
            if count < size and not mask & ENDING:
                return  # short: the kernel has no more, and will tell when it has
        if not flow.queued:
            flow.queued = True
            self._core.poller.soon(partial(self._go_on, flow))

    def _go_on(self, flow: _Flow) -> None:
        flow.queued = False
        self._pump(flow, ENDING)

    def _push(self, flow: _Flow, data: memoryview) -> bool:
        """Send to the sink; False if it does not take more."""
        if flow is self._up:
            self.session.bytes_sent += len(data)
        else:
            self.session.bytes_received += len(data)
        try:
            sent = flow.sink.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._break("reset")
            return False
        if sent == len(data):
            return True
        flow.pending = bytes(data[sent:])
        if not flow.armed:
            flow.armed = True
            self._core.poller.modify(flow.sink.fileno(), READ | WRITE | EDGE)
        return False

    def _flush(self, flow: _Flow) -> None:
        """Send what waited, then go on reading."""
        try:
            sent = flow.sink.send(flow.pending)
        except BlockingIOError:
            return
        except OSError:
            self._break("reset")
            return
        flow.pending = flow.pending[sent:]
        self._pump(flow, ENDING)

    def _pass_on_end(self, flow: _Flow) -> None:
        flow.ended = True
        if self._up.ended and self._down.ended:
            self._end("closed", "eof")
            return
        try:
            flow.sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._break("reset")

    def _break(self, reason: str, status: Status = "closed") -> None:
        """Reset both sides."""
        for sock in (self._up.source, self._up.sink):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._end(status, reason)

    def _end(self, status: Status, reason: str) -> None:
        session = self.session
        if session.ended:
            return
        session.status = status
        session.reason = reason
        session.ended = time.time()
        self._core.poller.close(self._up.source)
        self._core.poller.close(self._up.sink)
        self._core.end(self)
