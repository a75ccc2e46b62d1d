"""Connections to upstreams that are made before they are needed.

Only those are kept that have carried nothing for anybody: a stream that was used is never another client's.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from vpn.domain import egress
from vpn.proxy.connector import Reached
from vpn.proxy.stream import DONTWAIT

if TYPE_CHECKING:
    from vpn.proxy.poller import Poller


class Idle(NamedTuple):
    """A connection that waits to be used, since when (the poller's clock)."""

    reached: Reached
    since: float


class Pool:
    """The idle connections of one worker, the one that has waited longest first."""

    def __init__(self, poller: Poller, settings: egress.Pool) -> None:
        self._poller = poller
        self._settings = settings
        self._idle: OrderedDict[int, tuple[str, Idle]] = OrderedDict()  # by descriptor
        self._coming: Counter[str] = Counter()
        self.evicted = 0

    def take(self, name: str) -> Idle | None:
        """A connection to this upstream, the freshest, if there is one."""
        for fd, (upstream, idle) in reversed(self._idle.items()):
            if upstream == name:
                del self._idle[fd]
                return idle
        return None

    def put(self, name: str, idle: Idle) -> None:
        """Keep a connection; the oldest goes if there are too many."""
        if idle.reached.early:
            self._poller.close(idle.reached.stream)  # it speaks before it is spoken to
            return
        fd = idle.reached.stream.fileno()
        self._idle[fd] = name, idle
        self._poller.hand_over(fd, lambda mask: self._on_event(fd, idle))
        self._poller.call_later(self._settings.idle_timeout, lambda: self._drop(fd, idle))
        self._on_event(fd, idle)  # its end may have come with the greeting, and is not told again
        while len(self._idle) > self._settings.max_idle:
            oldest, (_, unused) = next(iter(self._idle.items()))
            self.evicted += 1
            self._drop(oldest, unused)

    def wants(self, name: str) -> bool:
        """Whether there is room for one more to this upstream."""
        ready = self.idle(name) + self._coming[name]
        return ready < min(self._settings.max_idle_per_upstream, self._settings.max_idle)

    def expected(self, name: str) -> None:
        """One is being made."""
        self._coming[name] += 1

    def arrived(self, name: str) -> None:
        """It was made, or could not be."""
        self._coming[name] -= 1

    def idle(self, name: str) -> int:
        """How many wait for use."""
        return sum(1 for upstream, _ in self._idle.values() if upstream == name)

    def close(self) -> None:
        """Close them all."""
        for fd, (_, idle) in list(self._idle.items()):
            self._drop(fd, idle)

    def _on_event(self, fd: int, idle: Idle) -> None:
        """The upstream closed it, or said something out of turn; unless TLS alone had something to say."""
        try:
            idle.reached.stream.recv(1, DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(fd, idle)

    def _drop(self, fd: int, idle: Idle) -> None:
        """Close one, unless it was taken meanwhile."""
        known = self._idle.get(fd)
        if known is not None and known[1] is idle:
            del self._idle[fd]
            self._poller.close(idle.reached.stream)
