"""Server-sent events: a response that goes on until the client has gone or the daemon stops.

Whoever has something to tell puts it into a queue of each listener, from any thread, and never waits. A listener
that is too slow is told how many it has missed. What is sent (HTML standard, 9.2): ``data`` with one JSON object;
``event: dropped`` with ``{"dropped": 12}``; a comment when there was nothing for a while, so that both sides notice
that the other is gone; and ``event: end`` when the daemon stops, since without it the connection broke off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vpn.api.errors import responses
from vpn.domain.errors import Unavailable

MEDIA_TYPE = "text/event-stream"
MOST_STREAMS = 64  # at a time, over all sockets
MOST_WAITING = 1000  # events for one listener ...
MOST_BYTES = 4 * 1024 * 1024  # ... and what they take
KEEP_ALIVE = 15.0  # seconds
_AT_ONCE = 100  # events in one write

Put = Callable[[Mapping[str, Any]], None]
"""Takes one event, which is not changed afterwards."""
Subscribe = Callable[[Put], Callable[[], None]]
"""Begins to tell of events, and returns how to stop that."""


def streamed(description: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that streams, for OpenAPI."""
    return {200: {"content": {MEDIA_TYPE: {}}, "description": description}, **responses(503)}


class EventStreams:
    """The open streams of one daemon."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._open: set[_Listener] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def answer(self, subscribe: Subscribe, first: Iterable[Mapping[str, Any]] = ()) -> Response:
        """The response that tells `first`, and then what comes.

        Args:
            subscribe: called at once, so that nothing is missed between `first` and what comes.

        Raises:
            Unavailable: there are as many streams as there may be, or the daemon is stopping.
        """
        if self._closed:
            raise Unavailable("stopping", "the daemon is stopping", "try again when it has started")
        if len(self._open) >= self._most:
            raise Unavailable("too_many_streams", f"there are {self._most} streams already", "close one of them")
        listener = _Listener(asyncio.get_running_loop())
        unsubscribe = subscribe(listener.put)
        self._open.add(listener)

        def leave() -> None:
            self._open.discard(listener)
            unsubscribe()

        return _EventStream(listener, [_event(each) for each in first], leave)

    def close(self) -> None:
        """End all of them; there will be no more."""
        self._closed = True
        for listener in self._open:
            listener.end()


class _Listener:
    """What waits for one client. Only `put` may be called from other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ended = False
        self._loop = loop
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._wake = asyncio.Event()
        self._woken = False

    def put(self, event: Mapping[str, Any]) -> None:
        """Tell this, soon."""
        if len(self._waiting) >= MOST_WAITING or self._size >= MOST_BYTES:
            self._dropped += 1
            return
        data = _event(event)
        self._size += len(data)
        self._waiting.append(data)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._wake.set)

    def end(self) -> None:
        """No more."""
        self._ended = True
        self._wake.set()

    async def take(self) -> bytes | None:
        """What is to be sent next; empty: nothing was put for a while; None: there is no more."""
        if not self._waiting and not self._ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE):
                    await self._wake.wait()
        self._wake.clear()
        self._woken = False  # from here on whoever puts wakes us again
        taken = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        # Another thread may put at this moment, and be miscounted: the bound is not to the byte, and begins anew.
        self._size = self._size - sum(map(len, taken)) if self._waiting else 0
        if self._dropped and not self._waiting:
            dropped, self._dropped = self._dropped, 0
            taken.append(_event({"dropped": dropped}, "dropped"))
        return b"".join(taken) if taken or not self._ended else None


class _EventStream(Response):
    """The response itself. It ends by itself when the client has gone."""

    def __init__(self, listener: _Listener, first: list[bytes], leave: Callable[[], None]) -> None:
        # Proxies in between shall neither keep nor gather it.
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._listener = listener
        self._first = first
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client has gone or there is no more."""
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await _send(send, b"".join(self._first) or b": here\n\n")
            while (taken := await self._listener.take()) is not None:
                await _send(send, taken or b": still here\n\n")
            await _send(send, _event({}, "end"), more=False)
        finally:
            self._leave()
            gone.cancel()

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._listener.end()


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _event(data: Mapping[str, Any], name: str = "") -> bytes:
    lines = [b"data: " + msgspec.json.encode(data), b"\n\n"]
    return b"".join([f"event: {name}\n".encode(), *lines] if name else lines)
