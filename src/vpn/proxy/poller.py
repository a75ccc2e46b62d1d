"""The worker's loop: epoll, timers, and nothing in between.

Handlers are plain functions, called with the event mask. A descriptor is registered once, edge-triggered;
whoever handles it reads until the kernel has no more, or remembers that there is more.

A descriptor that is closed in the middle of a batch could be reused before the batch ends, and its stale
event would reach a stranger. So `close` only forgets the handler; the descriptor itself is closed when the
batch is over.
"""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

EDGE = select.EPOLLET
# EPOLLPRI: urgent data, at whose mark reads come up short though there is more.
READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLPRI
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR
READABLE = READ | HANGUP  # what a read should be tried on
ENDING = select.EPOLLRDHUP | select.EPOLLPRI | HANGUP  # a read that came up short may have more behind it


class Closable(Protocol):
    """A socket, or what stands for one."""

    def fileno(self) -> int:
        """Its descriptor."""

    def close(self) -> None:
        """Close it."""


Handler = Callable[[int], None]
_BATCH = 512


class Timer:
    """A call that was asked for; `cancel` takes it back."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call any more."""
        self.callback = None


class Poller:
    """One epoll loop.

    Args:
        report_error: called with an exception that a handler let through. That is a defect of ours; the
            descriptor concerned is dropped, and the loop goes on for the others.
    """

    def __init__(self, report_error: Callable[[Exception], None]) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._closing: list[Closable] = []
        self._stale: set[int] = set()  # descriptors whose events in this batch are not for whoever has them now
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._soon: list[Callable[[], None]] = []
        self._running = False
        self._report_error = report_error
        self.now = time.monotonic()
        """The monotonic clock as it was when the present batch of events began, in seconds."""
        self.busy = 0.0
        """Seconds that batches took in all."""
        self._longest = 0.0

    def register(self, fd: int, handler: Handler, events: int) -> None:
        """Call `handler` with the mask of events on `fd`."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Ask for other events; with EDGE, one that already holds is reported anew."""
        self._epoll.modify(fd, events)

    def hand_over(self, fd: int, handler: Handler) -> None:
        """Send the events of a registered descriptor to another handler from now on."""
        self._handlers[fd] = handler

    def unregister(self, fd: int) -> None:
        """Forget a descriptor that stays open, or that somebody else closes."""
        if self._handlers.pop(fd, None) is not None:
            self._stale.add(fd)
            self._epoll.unregister(fd)

    def close(self, sock: Closable) -> None:
        """Forget a socket, registered or not, and close it at the end of the batch."""
        self._handlers.pop(sock.fileno(), None)
        self._closing.append(sock)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call once, after the other events that are waiting."""
        self._soon.append(callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call once, `seconds` from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def take_longest(self) -> float:
        """Seconds that the longest batch took since this was asked last."""
        longest, self._longest = self._longest, 0.0
        return longest

    @property
    def watched(self) -> int:
        """How many descriptors are watched."""
        return len(self._handlers)

    def tidy(self) -> None:
        """Let go of the room that many descriptors needed."""
        self._handlers = dict(self._handlers)

    def run(self) -> None:
        """Handle events until `stop`."""
        self._running = True
        self.now = time.monotonic()
        while self._running:
            self.turn(None)
        self._epoll.close()

    def stop(self) -> None:
        """Let `run` return after the present batch."""
        self._running = False

    def turn(self, most: float | None) -> None:
        """Wait for events, at most `most` seconds (None: until the next timer), and handle one batch."""
        handlers = self._handlers
        over = time.monotonic()
        took = over - self.now
        self.busy += took
        if took > self._longest:  # noqa: PLR1730 -- in every turn, and a call costs more
            self._longest = took
        events = self._epoll.poll(self._patience(most, over), _BATCH)
        self.now = time.monotonic()
        find, stale = handlers.get, self._stale
        for fd, mask in events:
            handler = find(fd)
            if handler is not None and fd not in stale:
                try:
                    handler(mask)
                except Exception as error:
                    self._report_error(error)
                    self.unregister(fd)
        self._stale.clear()
        if self._soon:
            waiting, self._soon = self._soon, []
            for callback in waiting:
                self._call(callback)
        if self._timers and self._timers[0][0] <= self.now:
            self._run_timers()
        if self._closing:
            for sock in self._closing:
                sock.close()
            self._closing.clear()

    def _patience(self, most: float | None, now: float) -> float | None:
        if self._soon or self._closing:
            return 0
        if not self._timers:
            return most
        left = max(0.0, self._timers[0][0] - now)
        return left if most is None else min(left, most)

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                self._call(callback)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            self._report_error(error)
