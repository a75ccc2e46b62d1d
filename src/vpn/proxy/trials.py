"""Whose is this datagram? Where clients do not say who they are, every key is tried, and garbage costs as much as that.

So what nobody known has sent waits in a queue, of which some keys are tried in each turn of the worker's loop, and not
more than so many in a second. What finds no room in the queue is lost, as datagrams may be.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from vpn.proxy.keyring import UserKey
from vpn.proxy.packet_socket import Local, Source
from vpn.proxy.poller import Poller

SLICE = 64
"""Keys tried in a turn: half a millisecond."""
RATE = 16_384
"""Keys tried in a second: a key takes some 8 µs, so an eighth of a core, whatever comes."""
BURST = 4 * RATE
"""Keys that may be tried after a pause, slice by slice: of ten thousand users the unknown are found at once."""
_MOST_WAITING = 256
_MOST_BYTES = 1 << 20
_MOST_THERE = 8  # of one address
_PAUSE = 0.05  # seconds until there are tokens again

Open = Callable[[UserKey, bytes], bytes | None]
Found = Callable[[UserKey | None, bytes, bytes, Source, Local], None]
"""Whose it is (None: nobody's), what it holds, the datagram as it came, where from and where to."""


class _Case(NamedTuple):
    packet: bytes
    source: Source
    local: Local


class Trials:
    """Tries keys on datagrams.

    Args:
        keys: those to be tried on a datagram from this address, the likeliest first.
        try_key: opens a datagram with a key, if it is that.
        found: called for each datagram that was given, perhaps before `submit` returns, but for those that got lost.
    """

    def __init__(self, poller: Poller, keys: Callable[[str], Iterable[UserKey]], try_key: Open, found: Found) -> None:
        self._poller = poller
        self._keys = keys
        self._open = try_key
        self._found = found
        self._waiting: deque[_Case] = deque()
        self._there: Counter[str] = Counter()
        self._bytes = 0
        self._left: Iterator[UserKey] | None = None  # keys not yet tried on the first
        self._tokens = float(BURST)
        self._filled = poller.now
        self._tried = 0  # in this turn of the loop
        self._scheduled = False

    def submit(self, packet: bytes, source: Source, local: Local) -> bool:
        """Find out whose this is; False if there is no room for it."""
        host = source[0]
        full = len(self._waiting) >= _MOST_WAITING or self._bytes + len(packet) > _MOST_BYTES
        if full or self._there[host] >= _MOST_THERE:
            return False
        self._waiting.append(_Case(packet, source, local))
        self._there[host] += 1
        self._bytes += len(packet)
        if not self._scheduled:
            self._go_on()
        return True

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._there.clear()
        self._bytes = 0
        self._left = None

    def _go_on(self) -> None:
        self._scheduled = False
        now = self._poller.now
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) * RATE)
        if now != self._filled:
            self._filled = now
            self._tried = 0
        while self._waiting and self._tried < SLICE:
            if self._tokens < SLICE:
                self._scheduled = True
                self._poller.call_later(_PAUSE, self._go_on)
                return
            count = self._try_some(SLICE - self._tried)
            self._tried += count
            self._tokens -= count
        if self._waiting:
            self._scheduled = True
            self._poller.soon(self._go_on)

    def _try_some(self, most: int) -> int:
        """Try keys on the first that waits; returns how many."""
        packet, source, local = self._waiting[0]
        if self._left is None:
            self._left = iter(self._keys(source[0]))
        for count in range(1, most + 1):
            key = next(self._left, None)
            held = self._open(key, packet) if key is not None else b""
            if held is not None:
                self._done()
                self._found(key, held, packet, source, local)
                return count if key is not None else count - 1
        return most

    def _done(self) -> None:
        """The first that waited does so no more."""
        packet, source, _ = self._waiting.popleft()
        self._left = None
        self._bytes -= len(packet)
        self._there[source[0]] -= 1
        if not self._there[source[0]]:
            del self._there[source[0]]
