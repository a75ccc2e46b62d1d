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
    from vpn.proxy.poller import Poller, Timer


class _Idle(NamedTuple):
    upstream: str
    reached: Reached
    timer: Timer


class Pool:
    """The idle connections of one worker, the one that has waited longest first."""

    def __init__(self, poller: Poller, settings: egress.Pool) -> None:
        self._poller = poller
        self._settings = settings
        self._idle: OrderedDict[int, _Idle] = OrderedDict()  # by descriptor
        self._coming: Counter[str] = Counter()
        self._closed = False
        self.evicted = 0

    def take(self, name: str) -> Reached | None:
        """A connection to this upstream, the freshest, if there is one."""
        for fd, idle in reversed(self._idle.items()):
            if idle.upstream == name:
                del self._idle[fd]
                idle.timer.cancel()  # which would hold on to the connection until its time
                return idle.reached
        return None

    def put(self, name: str, reached: Reached) -> None:
        """Keep a connection; the oldest goes if there are too many."""
        if reached.early or self._closed:
            self._poller.close(reached.stream)  # it speaks before it is spoken to, or nobody will ask for it
            return
        fd = reached.stream.fileno()
        self._idle[fd] = _Idle(
            name, reached, self._poller.call_later(self._settings.idle_timeout, lambda: self._drop(fd))
        )
        self._poller.hand_over(fd, lambda mask: self._on_event(fd))
        self._on_event(fd)  # its end may have come with the greeting, and is not told again
        while len(self._idle) > self._settings.max_idle:
            self.evicted += 1
            self._drop(next(iter(self._idle)))

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
        return sum(1 for idle in self._idle.values() if idle.upstream == name)

    def close(self) -> None:
        """Close them all, and what still comes."""
        self._closed = True
        for fd in list(self._idle):
            self._drop(fd)

    def _on_event(self, fd: int) -> None:
        """The upstream closed it, or said something out of turn; unless TLS alone had something to say."""
        try:
            self._idle[fd].reached.stream.recv(1, DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(fd)

    def _drop(self, fd: int) -> None:
        idle = self._idle.pop(fd)
        idle.timer.cancel()
        self._poller.close(idle.reached.stream)
