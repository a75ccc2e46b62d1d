"""Tunnels: bytes from one stream to the other, both ways.

Each direction sends at once what it read. When the sink's buffer is full, the rest waits (in `pending`, or in
a pipe) and the source is not read until it is gone: that is the backpressure. The end of a stream is passed
on with SHUT_WR while the other direction goes on; a reset is passed on as a reset, so that a truncated
stream never looks complete.

A user's rate and quota say how much may be moved at a time; where nothing may, the flow waits in its lane.

Small amounts are copied. A direction that moves much between two plain sockets is spliced: its bytes go
through a pipe inside the kernel, and user space never sees them.
"""

from __future__ import annotations

import os
import socket
import time
from functools import partial
from select import EPOLLERR, EPOLLPRI

from vpn.domain.session import Session, Status
from vpn.protocols.client_hello import HANDSHAKE
from vpn.proxy.client import Client
from vpn.proxy.core import BUFFER, Core
from vpn.proxy.pipes import SIZE, Pipe
from vpn.proxy.poller import EDGE, ENDING, HANGUP, READ, READABLE, WRITE
from vpn.proxy.shaping import Lane
from vpn.proxy.sniffing import look
from vpn.proxy.stream import DONTWAIT, Stream, layered, reset_on_close, set_keepalive

BURST = 4  # buffers moved for one tunnel before the others have their turn
BULK = 512 * 1024  # bytes; a direction that has moved so many may be spliced
MUCH = 64 * 1024  # bytes; what an event has to bring to be worth two more system calls
_SPLICE = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE


class _Flow:
    """One direction of a tunnel."""

    __slots__ = ("armed", "ended", "first", "lane", "layered", "moved", "pending", "pipe", "queued", "sink", "source")

    def __init__(self, source: Stream, sink: Stream, lane: Lane) -> None:
        self.source = source
        self.sink = sink
        self.lane = lane
        self.first: bytes | None = b""
        """What it began with, as far as that is looked at: None, that is over."""
        self.layered = layered(source)
        self.pending = b""
        self.pipe: Pipe | None = None
        """Held while there are bytes in it."""
        self.moved = -1 if self.layered or layered(sink) else 0
        """Bytes copied, up to where splicing may begin; -1: it may not."""
        self.ended = False
        self.queued = False
        """Whether it is to go on after the others have had their turn."""
        self.armed = False
        """Whether the poller reports that the sink takes bytes again."""


class Relay:
    """One tunnel, from the client's welcome to the end of both directions.

    Both streams are registered with the poller and belong to the relay from now on.

    Args:
        reached: when the destination was, on the monotonic clock; 0.0: the tunnel goes on with what was begun.
    """

    __slots__ = ("_asked", "_core", "_down", "_idle", "_patience", "_reached", "_up", "client", "deadline", "session")

    def __init__(
        self, core: Core, session: Session, client: Client, near: Stream, remote: Stream, reached: float = 0.0
    ) -> None:
        self._core = core
        self.session = session
        self.client = client
        self._idle = client.entry.timeouts.idle
        self._patience = min(self._idle, client.entry.inbound.keepalive or self._idle)
        self.deadline = core.poller.now + self._patience
        self._asked = 0.0  # the deadline that was set when TCP began to ask
        self._up = _Flow(near, remote, client.account.up)
        self._down = _Flow(remote, near, client.account.down)
        self._reached = reached
        if not reached:
            self._up.first = self._down.first = None

    def start(
        self, early: bytes, *, client_unread: bool, remote_unread: bool, late: bytes = b"", late_counted: bool = False
    ) -> None:
        """Begin with the bytes that the client sent early, and those of the destination that were read already.

        A stream that is `unread` may hold bytes of which no event will tell again.

        Args:
            late_counted: those of the destination were counted when they were read.
        """
        core = self._core
        core.connections.add(self)
        core.poller.hand_over(self._up.source.fileno(), self._on_client)
        core.poller.hand_over(self._down.source.fileno(), self._on_remote)
        if (early or late) and not core.budget(self.client.account):
            return  # many may have come with a little each since they were let in
        if early:
            if self._up.first is not None:
                self._see_first(self._up, early)
            self._count(self._up, len(early))
            self._send(self._up, memoryview(early))
        if late and not self.session.ended:
            if self._down.first is not None:
                self._see_first(self._down, late)
            if not late_counted:
                self._count(self._down, len(late))
            self._send(self._down, memoryview(late))
        if client_unread:
            self._pump(self._up, ENDING)
        if remote_unread:
            self._pump(self._down, ENDING)

    def expire(self) -> None:
        """Nothing moved for long: first TCP asks the destination whether it is still there, then it is the end."""
        if any(flow.lane.holds_back(flow) for flow in (self._up, self._down)):  # it is we who are slow
            self.deadline = self._core.poller.now + self._patience
            return
        if self._patience >= self._idle or self.deadline == self._asked:
            self._end("closed", "idle_timeout")
            return
        set_keepalive(self._down.source, self.client.entry.inbound.keepalive)
        self.deadline += self._idle - self._patience
        self._asked = self.deadline

    def cut(self, reason: str) -> None:
        """Close both sides at once, in a way that neither takes for a proper end."""
        self._break(reason, "closed")

    def _on_client(self, mask: int) -> None:
        self._on_event(mask, self._up, self._down)

    def _on_remote(self, mask: int) -> None:
        self._on_event(mask, self._down, self._up)

    def _on_event(self, mask: int, outward: _Flow, inward: _Flow) -> None:
        """Something happened on a stream that is the source of `outward` and the sink of `inward`."""
        self.deadline = self._core.poller.now + self._patience
        if mask & WRITE and (inward.pending or inward.pipe):
            self._flush(inward)
        if not mask & READABLE or self.session.ended:
            return
        if mask & EPOLLERR and (outward.pending or outward.pipe):
            self._break("reset")  # the reset would not be told again when there is room for what is pending
        elif not outward.ended:
            if mask & EPOLLPRI:
                outward.moved = -1  # a pipe knows nothing of urgent data
            self._pump(outward, mask)
        elif mask & HANGUP:  # both ways are shut though the other direction has more to say
            self._break("reset")

    def _pump(self, flow: _Flow, mask: int) -> None:
        """Move what the source has; `mask` tells whether its end may follow closely."""
        if flow.pending or flow.pipe or flow.ended or self.session.ended:
            return
        account = self.client.account
        room = account.budget()
        if room <= 0:
            room = self._core.budget(account)  # it ends all that the user has
        allowed = flow.lane.allowance()
        if allowed < room:  # noqa: PLR1730 -- for every event, and a call costs more
            room = allowed
        if not room:
            if not self.session.ended:
                flow.lane.wait(flow, partial(self._take_turn, flow))
        elif flow.moved >= BULK:
            self._splice(flow, room)
        else:
            self._copy(flow, room, mask)

    def _take_turn(self, flow: _Flow) -> None:
        """The lane lets the flow go on."""
        self.deadline = self._core.poller.now + self._patience
        self._pump(flow, ENDING)

    def _copy(self, flow: _Flow, room: int, mask: int) -> None:
        """Move what the source has, by way of the worker's buffer, and no more than this many bytes."""
        core = self._core
        buffer = core.buffer
        for _ in range(BURST):
            size = BUFFER if room > BUFFER else room
            try:
                count = flow.source.recv_into(buffer, size, DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self._break("reset")
                return
            if not count:
                self._pass_on_end(flow)
                return
            if flow.first is not None:
                self._see_first(flow, core.view[:count])
            if count >= MUCH and flow.moved >= 0:
                self._note_much(flow, count)
            self._count(flow, count)
            if not self._send(flow, core.view[:count]):
                return
            if count < size and not mask & ENDING and not (flow.layered and flow.layered.unread):
                return  # short: the kernel has no more, and will tell when it has
            room -= count
            if room <= 0:
                break
        self._go_on_later(flow)

    def _see_first(self, flow: _Flow, data: bytes | memoryview) -> None:
        """This is what a direction begins with."""
        session = self.session
        if flow is self._down:
            flow.first = None
            session.first_byte_time = time.monotonic() - self._reached
            if session.phases is not None:
                session.mark("first_byte", time.time())
        elif not flow.first and data[0] != HANDSHAKE:
            flow.first = None  # no TLS
        else:
            flow.first = look(session, flow.first or b"", data)

    def _note_much(self, flow: _Flow, count: int) -> None:
        flow.moved += count
        if flow.moved >= BULK:  # `splice` knows no DONTWAIT for sockets
            os.set_blocking(flow.source.fileno(), False)
            os.set_blocking(flow.sink.fileno(), False)

    def _splice(self, flow: _Flow, room: int) -> None:
        """Move what the source has through a pipe, and no more than this many bytes."""
        pipe = self._core.pipes.take()
        if pipe is None:
            flow.moved = 0  # copy for a while
            self._go_on_later(flow)
            return
        flow.pipe = pipe
        source = flow.source.fileno()
        total = 0
        try:
            for _ in range(BURST):
                count = os.splice(source, pipe.writer, min(SIZE, room - total), flags=_SPLICE)
                if not count:  # the end, or it looks so: before urgent data a pipe sees one
                    self._empty(flow)
                    flow.moved = -1
                    self._pump(flow, ENDING)
                    return
                total += count
                pipe.filled = count
                self._count(flow, count)
                if not self._drain(flow):
                    return
                if total >= room:
                    break
        except BlockingIOError:
            self._empty(flow)
            if total < MUCH:
                flow.moved = 0  # a trickle is cheaper copied
            return
        except OSError:
            self._break("reset")
            return
        self._empty(flow)
        self._go_on_later(flow)

    def _drain(self, flow: _Flow) -> bool:
        """Send what is in the pipe; False if the sink does not take more."""
        pipe = flow.pipe
        assert pipe is not None
        sink = flow.sink.fileno()
        while pipe.filled:
            try:
                pipe.filled -= os.splice(pipe.reader, sink, pipe.filled, flags=_SPLICE)
            except BlockingIOError:
                self._arm(flow)
                return False
        return True

    def _empty(self, flow: _Flow) -> None:
        """Give the pipe back."""
        if flow.pipe is not None:
            self._core.pipes.give(flow.pipe)
            flow.pipe = None

    def _go_on_later(self, flow: _Flow) -> None:
        if not flow.queued:
            flow.queued = True
            self._core.poller.soon(partial(self._go_on, flow))

    def _go_on(self, flow: _Flow) -> None:
        flow.queued = False
        self._pump(flow, ENDING)

    def _count(self, flow: _Flow, count: int) -> None:
        if flow is self._up:
            self.session.bytes_sent += count
        else:
            self.session.bytes_received += count
        flow.lane.count(count)

    def _send(self, flow: _Flow, data: memoryview) -> bool:
        """Send to the sink; False if it does not take more."""
        try:
            sent = flow.sink.send(data, DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._break("reset")
            return False
        if sent == len(data):
            return True
        flow.pending = bytes(data[sent:])
        self._arm(flow)
        return False

    def _arm(self, flow: _Flow) -> None:
        if not flow.armed:
            flow.armed = True
            self._core.poller.modify(flow.sink.fileno(), READ | WRITE | EDGE)

    def _flush(self, flow: _Flow) -> None:
        """Send what waited, then go on reading."""
        try:
            if flow.pipe is not None:
                if self._drain(flow):
                    self._empty(flow)
            else:
                flow.pending = flow.pending[flow.sink.send(flow.pending, DONTWAIT) :]
        except BlockingIOError:
            return
        except OSError:
            self._break("reset")
            return
        self._pump(flow, ENDING)

    def _pass_on_end(self, flow: _Flow) -> None:
        flow.ended = True
        if self._up.ended and self._down.ended:
            self._end("closed", "eof")
            return
        self._idle = min(self._idle, self.client.entry.timeouts.half_closed)
        self._patience = min(self._idle, self._patience)
        self.deadline = self._core.poller.now + self._patience
        try:
            flow.sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._break("reset")

    def _break(self, reason: str, status: Status = "closed") -> None:
        """Reset both sides."""
        for stream in (self._up.source, self._up.sink):
            reset_on_close(stream)
        self._end(status, reason)

    def _end(self, status: Status, reason: str) -> None:
        session = self.session
        if session.ended:
            return
        session.end(status, reason, time.time())
        for flow in (self._up, self._down):
            if flow.pipe is not None:
                self._empty(flow)
            flow.lane.cancel(flow)
            self._core.poller.close(flow.source)
        self._core.end(self)
