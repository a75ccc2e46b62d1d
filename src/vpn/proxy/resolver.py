"""Names to addresses: c-ares with a cache that honours TTLs.

c-ares reads the hosts file and the system's resolver settings, and answers ``localhost`` itself. Names that
do not exist are remembered too, for a short while, and lookups of one name at the same time are made once.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pycares

from vpn.domain.address import pack
from vpn.domain.destination import normal_name
from vpn.domain.egress import Resolving
from vpn.proxy.counters import WorkerCounters
from vpn.proxy.poller import HANGUP, Poller, Timer

CAPACITY = 4096  # names; the oldest goes first
LONGEST = 300.0  # seconds that an answer is kept at most
SHORTEST = 1.0  # seconds that an answer is kept at least: records with TTL 0 exist
NEGATIVE = 10.0  # seconds that "no such name" is kept
_NO_SUCH_NAME = frozenset({pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA, pycares.errno.ARES_EBADNAME})

Answer = list[bytes]
"""Packed addresses, best first; empty: the name has none."""


class Resolver:
    """The resolver of one worker. It may only be used from its poller's thread.

    Args:
        counters: count the lookups; None: nobody does.
        options: passed on to c-ares, e.g. ``servers`` and ``timeout``. Not ``lookups``: pycares 5.2 hands
            c-ares a string that it has freed already.
    """

    def __init__(self, poller: Poller, counters: WorkerCounters | None = None, **options: Any) -> None:
        self._counters = counters or WorkerCounters()
        self._poller = poller
        self._options = options
        self._resolving = Resolving()
        self._hosts: dict[str, Answer] = {}
        self._channel = pycares.Channel(sock_state_cb=self._watch, **options)
        self._cache: dict[str, tuple[float, Answer]] = {}
        self._waiting: dict[str, list[Callable[[Answer], None]]] = {}
        self._watched: set[int] = set()
        self._clock: Timer | None = None

    def configure(self, resolving: Resolving) -> None:
        """Resolve this way from now on; what was learnt another way is forgotten."""
        if resolving == self._resolving:
            return
        servers, before = resolving.servers, self._resolving.servers
        self._resolving = resolving
        self._cache.clear()
        packed = {name: [pack(address) for address in given] for name, given in resolving.hosts.items()}
        self._hosts = {name: self._in_order([each for each in given if each]) for name, given in packed.items()}
        if servers != before:
            options = self._options | ({"servers": list(servers)} if servers else {})
            # First the new one: who is told that there is no answer may ask again at once.
            old, self._channel = self._channel, pycares.Channel(sock_state_cb=self._watch, **options)
            old.cancel()
            old.close()

    def resolve(self, name: str, done: Callable[[Answer], None]) -> None:
        """Call `done` with the name's addresses, at once if they are known."""
        absolute = name.endswith(".")
        name = normal_name(name)  # as it was judged: c-ares has another idea of what ß is
        given = self._hosts.get(name)
        if given is not None:
            self._counters.lookups_known += 1
            done(given)
            return
        if "\\" in name:  # c-ares would take ex\097mple.com for example.com, which nobody has judged
            done([])
            return
        name += "." if absolute else ""
        known = self._cache.get(name)
        if known is not None and known[0] > self._poller.now:
            self._counters.lookups_known += 1
            done(known[1])
            return
        waiting = self._waiting.get(name)
        if waiting is not None:
            waiting.append(done)
            return
        self._waiting[name] = [done]
        self._counters.lookups += 1
        began = time.monotonic()
        try:
            self._channel.getaddrinfo(
                name,
                None,
                family=socket.AF_UNSPEC,
                type=socket.SOCK_STREAM,
                callback=lambda result, error: self._finish(name, began, result, error),
            )
        except (pycares.AresError, UnicodeError, ValueError):  # not a name at all
            self._finish(name, began, None, pycares.errno.ARES_EBADNAME)
        self._tick()

    def close(self) -> None:
        """Give up what is under way; its callers are told that there is no address."""
        self._channel.cancel()
        self._channel.close()

    def _finish(self, name: str, began: float, result: pycares.AddrInfoResult | None, error: int | None) -> None:
        self._counters.note_lookup(time.monotonic() - began)
        addresses: Answer = []
        lifetime = NEGATIVE
        if result is not None:
            packed = [pack(_text(node.addr[0])) for node in result.nodes]
            addresses = self._in_order(list(dict.fromkeys(each for each in packed if each is not None)))
            ttl = min((node.ttl for node in result.nodes), default=0)
            lifetime = min(max(float(ttl), SHORTEST), LONGEST)
        if result is not None or error in _NO_SUCH_NAME:
            self._remember(name, lifetime, addresses)
        if not addresses:
            self._counters.lookups_failed += 1
            self._counters.lookups_timed_out += error == pycares.errno.ARES_ETIMEOUT
        for done in self._waiting.pop(name, []):
            done(addresses)

    def _in_order(self, addresses: Answer) -> Answer:
        """The preferred family first; else as the resolver ordered them (RFC 6724)."""
        size = {"v4": 4, "v6": 16}.get(self._resolving.prefer)
        return sorted(addresses, key=lambda address: len(address) != size) if size else addresses

    def _remember(self, name: str, lifetime: float, addresses: Answer) -> None:
        self._cache.pop(name, None)
        if len(self._cache) >= CAPACITY:
            del self._cache[next(iter(self._cache))]
        self._cache[name] = (self._poller.now + lifetime, addresses)

    def _watch(self, fd: int, readable: bool, writable: bool) -> None:
        """c-ares opened, changed or is about to close a socket."""
        # EPOLLIN and EPOLLOUT, level-triggered: c-ares keeps no promise to read until there is no more.
        events = (1 if readable else 0) | (4 if writable else 0)
        if not events:
            self._watched.discard(fd)
            self._poller.unregister(fd)
        elif fd in self._watched:
            self._poller.modify(fd, events)
        else:
            self._watched.add(fd)
            self._poller.register(fd, lambda mask: self._process(fd, mask), events)

    def _process(self, fd: int, mask: int) -> None:
        bad = pycares.ARES_SOCKET_BAD
        self._channel.process_fd(fd if mask & (1 | HANGUP) else bad, fd if mask & 4 else bad)
        self._tick()

    def _tick(self) -> None:
        """Keep c-ares' own timers running while it waits for answers."""
        if self._clock is not None or not self._waiting:
            return
        left: float = self._channel.timeout()  # type: ignore[no-untyped-call]
        self._clock = self._poller.call_later(max(0.01, min(1.0, left)), self._on_clock)

    def _on_clock(self) -> None:
        self._clock = None
        self._channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        self._tick()


def _text(address: bytes | str) -> str:
    return address.decode() if isinstance(address, bytes) else address
