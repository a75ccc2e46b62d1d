"""One HTTP request and its response, forwarded.

Two ways at once: the request's body to the destination, the response to the client. Each reads its source,
lets a generator (vpn.protocols.http1_message) say what the sink gets, and reads no more while the sink is
full. When the response is complete and both sides stay open, the client's next request may follow, and the
connection to the destination is kept for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from functools import partial
from select import EPOLLRDHUP
from typing import Any

import msgspec

from vpn.domain.session import Session, Status
from vpn.protocols import http1
from vpn.protocols.events import Forward
from vpn.protocols.http1_message import Ending, MessageError, request_body, response
from vpn.protocols.reader import Reader
from vpn.proxy.client import Client
from vpn.proxy.connector import Reached
from vpn.proxy.core import Core
from vpn.proxy.farewell import Farewell
from vpn.proxy.kept import Kept
from vpn.proxy.poller import EDGE, HANGUP, READ, READABLE, WRITE
from vpn.proxy.relay import Relay
from vpn.proxy.shaping import Lane
from vpn.proxy.stream import DONTWAIT, Stream, reset_on_close

CHUNK = 64 * 1024  # bytes read at a time
BURST = 8  # such reads before the others have their turn
# RFC 9110 §9.2.2: what may be sent again when a kept connection turns out to be gone.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

Next = Callable[[bytes, Kept | None], None]
"""Goes on with a client whose request was answered: what it has sent already, and the kept connection."""


class _Way:
    """One of the two ways."""

    __slots__ = ("armed", "cut", "done", "lane", "parser", "pending", "queued", "reader", "sink", "source")

    def __init__(self, source: Stream, sink: Stream, lane: Lane, early: bytes, pending: bytes) -> None:
        self.source = source
        self.sink = sink
        self.lane = lane
        self.reader = Reader(early)
        self.parser: Generator[bytes | None, None, Any]
        self.pending = pending
        self.done = False
        self.cut = False  # given up before it was complete
        self.armed = False
        self.queued = False


class Exchange:
    """A request on its way. Both streams are registered with the poller, and the exchange's from now on.

    Args:
        reached: the destination.
        then: called when the client's connection goes on.
        again: called instead when the kept connection was gone already and nothing is lost; None: it was fresh.
    """

    __slots__ = (
        "_again",
        "_core",
        "_down",
        "_ending",
        "_patience",
        "_reached",
        "_remote",
        "_request",
        "_then",
        "_told",
        "_up",
        "client",
        "deadline",
        "session",
    )

    def __init__(
        self,
        core: Core,
        session: Session,
        client: Client,
        near: Stream,
        reached: Reached,
        request: Forward,
        then: Next,
    ) -> None:
        self._core = core
        self.session = session
        self.client = client
        self._remote = reached
        self._request = request
        self._then = then
        self._again: Callable[[bytes], None] | None = None
        self._ending: Ending | None = None
        self._told = False  # whether the client has got any of the response
        self._patience = client.entry.timeouts.idle
        self._reached = time.monotonic()
        self.deadline = core.poller.now + self._patience
        self._up = _Way(near, reached.stream, client.account.up, b"", request.head)
        self._down = _Way(reached.stream, near, client.account.down, reached.early, b"")

    def start(self, early: bytes, again: Callable[[bytes], None] | None) -> None:
        """Begin with what the client has sent behind the request's head."""
        core = self._core
        core.connections.add(self)
        self._again = again
        self._up.reader.feed(early)
        self._up.parser = request_body(self._up.reader, self._request.length)
        self._down.parser = response(self._down.reader, self._request, self.client.entry.inbound.via)
        core.poller.hand_over(self._up.source.fileno(), self._on_client)
        core.poller.modify(self._up.source.fileno(), READ | EDGE)  # its end may have been told to others
        core.poller.hand_over(self._down.source.fileno(), self._on_remote)
        self._count_down(len(self._remote.early))
        if not core.budget(self.client.account):
            return  # many may have come with a head each since they were let in
        self._run(self._up)
        if self._alive():
            self._run(self._down)

    def expire(self) -> None:
        """Nothing moved for too long."""
        if any(way.lane.holds_back(way) for way in (self._up, self._down)):  # it is we who are slow
            self._touch()
            return
        self._fail("idle_timeout", 504, "Gateway Timeout", "http_response_timeout")

    def cut(self, reason: str) -> None:
        """It may not go on."""
        self._break("closed", reason)

    def _on_client(self, mask: int) -> None:
        if mask & EPOLLRDHUP:  # it asks for nothing more, and may be gone
            self._patience = min(self._patience, self.client.entry.timeouts.half_closed)
        self._touch()
        if mask & WRITE and self._down.armed:
            self._run(self._down)
        if self._alive() and mask & HANGUP:
            self._break("closed", "client_gone")
        elif self._alive() and mask & READABLE and not self._up.done:
            self._run(self._up)

    def _on_remote(self, mask: int) -> None:
        self._touch()
        # What is pending is counted as it goes, and the quota may have ended meanwhile.
        if mask & WRITE and self._up.armed and not self._up.done and self._core.budget(self.client.account):
            self._run(self._up)
        if self._alive() and mask & READABLE:
            self._run(self._down)

    def _touch(self) -> None:
        self.deadline = self._core.poller.now + self._patience

    def _alive(self) -> bool:
        """Whether the streams are still ours; the session may go on without us."""
        return self in self._core.connections

    def _run(self, way: _Way) -> None:
        """Move what can be moved."""
        try:
            self._move(way)
        except StopIteration as stop:
            way.done = True
            if way is self._down:
                self._ending = stop.value
                self._finish()
        except BlockingIOError:
            return
        except MessageError as error:
            self._wrong(way, str(error))
        except OSError:
            self._wrong(way, "reset")

    def _move(self, way: _Way) -> None:
        reads = 0
        while not way.pending or self._flush(way):
            step = next(way.parser)
            if step is not None:
                way.pending = step
            elif way.reader.ended:
                raise MessageError("truncated")
            elif reads < BURST:
                reads += 1
                self._read(way)
            else:
                self._run_later(way)
                return

    def _run_later(self, way: _Way) -> None:
        if not way.queued:
            way.queued = True
            self._core.poller.soon(partial(self._run_on, way))

    def _run_on(self, way: _Way) -> None:
        way.queued = False
        if not way.done and self._alive():
            self._run(way)

    def _take_turn(self, way: _Way) -> None:
        """The lane lets the way go on."""
        if not way.done and self._alive():
            self._touch()
            self._run(way)

    def _read(self, way: _Way) -> None:
        room = min(self._core.budget(self.client.account), way.lane.allowance())
        if not room:
            if self._alive():
                way.lane.wait(way, partial(self._take_turn, way))
            raise BlockingIOError
        data = way.source.recv(min(CHUNK, room), DONTWAIT)
        if not data:
            way.reader.ended = True
        else:
            way.reader.feed(data)
            if way is self._down:
                self._count_down(len(data))

    def _count_down(self, count: int) -> None:
        session = self.session
        if not session.bytes_received and count:
            session.first_byte_time = time.monotonic() - self._reached
            if session.phases is not None:
                session.mark("first_byte", time.time())
        session.bytes_received += count
        self._down.lane.count(count)

    def _flush(self, way: _Way) -> bool:
        """Send what waits; False if it has to wait longer."""
        try:
            sent = way.sink.send(way.pending, DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            if way is self._up:
                raise
            self._break("closed", "client_gone")
            return False
        if way is self._up:
            self.session.bytes_sent += sent
            way.lane.count(sent)
        elif sent:
            self._told = True
        way.pending = way.pending[sent:]
        if way.pending and not way.armed:
            way.armed = True
            self._core.poller.modify(way.sink.fileno(), READ | WRITE | EDGE)
        return not way.pending

    def _wrong(self, way: _Way, reason: str) -> None:
        """One side does not keep to the protocol, or is gone."""
        answered = self.session.bytes_received > 0
        if way is self._up and way.reader.ended:
            self._break("closed", "client_closed")  # in the middle of its request
        elif way is self._up and reason != "reset":
            self._fail(reason, 400, "Bad Request", "http_request_error")
        elif way is self._up:
            way.done = way.cut = True  # the destination may have said why before it went: let it be heard
            way.pending = b""
            self._run(self._down)
        elif not answered and self._again is not None and self._may_repeat():
            self._core.poller.close(self._remote.stream)
            self._let_go()
            self._again(self._up.reader.rest())
        else:
            self._fail(reason if answered else "no_response", 502, "Bad Gateway", "http_response_incomplete")

    def _may_repeat(self) -> bool:
        return self._request.length == 0 and self._request.method in _IDEMPOTENT

    def _finish(self) -> None:
        """The response is complete, and sent."""
        ending = self._ending
        assert ending is not None
        if ending.upgraded:
            self._let_go()
            relay = Relay(self._core, self.session, self.client, self._up.source, self._remote.stream)
            early, late = self._up.pending + self._up.reader.rest(), self._down.reader.rest()
            relay.start(early, client_unread=True, remote_unread=True, late=late, late_counted=True)
            return
        self._complete("closed", "eof")
        if not ending.keep_client or not self._up.done or self._up.cut:
            self._core.poller.close(self._remote.stream)
            self._say_goodbye()
            return
        kept = None
        if ending.keep_origin and not self._down.reader.peek():
            kept = Kept(self._core, msgspec.structs.replace(self._remote, early=b""), self.session)
        else:
            self._core.poller.close(self._remote.stream)
        self._let_go()
        self._core.book(self.session)
        self._then(self._up.reader.rest(), kept)

    def _fail(self, reason: str, status: int, phrase: str, error: str) -> None:
        """Tell the client, if it has not been told anything yet."""
        if self._told or self._down.pending:
            self._break("failed", reason)
            return
        answer = http1.response(status, phrase, f"Proxy-Status: vpn; error={error}\r\n", close=True)
        try:
            self._up.source.send(answer, DONTWAIT)
        except OSError:
            self._break("failed", reason)
            return
        self._complete("failed", reason)
        self._core.poller.close(self._remote.stream)
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        self._let_go()
        Farewell(self._core, self._up.source, self.session, self.client)

    def _break(self, status: Status, reason: str) -> None:
        """Reset both sides: what was sent so far must not look complete."""
        if self.session.ended:
            return
        self._complete(status, reason)
        for stream in (self._up.source, self._remote.stream):
            reset_on_close(stream)
            self._core.poller.close(stream)
        self._let_go()
        self._core.end(self)

    def _let_go(self) -> None:
        """The streams, or the client's, are somebody else's from now on, or closed."""
        self._core.connections.discard(self)
        for way in (self._up, self._down):
            way.lane.cancel(way)

    def _complete(self, status: Status, reason: str) -> None:
        self.session.end(status, reason, time.time())
