"""From a destination to a connected socket: resolve, guard, race.

Every resolved address passes the destination guard, and the one that passed is the one connected to: there
is no second lookup. With several addresses a new attempt starts every 250 ms, or as soon as one fails, and
the first to connect wins (Happy Eyeballs, RFC 8305).
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import msgspec

from vpn.domain.address import pack, unpack
from vpn.domain.session import Session
from vpn.protocols.events import Refusal
from vpn.proxy.judge import Guard
from vpn.proxy.poller import EDGE, HANGUP, READ, WRITE, Timer

if TYPE_CHECKING:
    from vpn.proxy.core import Core

STAGGER = 0.25  # seconds, RFC 8305 §5
MOST_ATTEMPTS = 8  # addresses of one name that are tried

_REFUSALS = {
    errno.ECONNREFUSED: Refusal.CONNECTION_REFUSED,
    errno.ENETUNREACH: Refusal.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Refusal.HOST_UNREACHABLE,
    errno.ETIMEDOUT: Refusal.TIMED_OUT,
}
# Of several attempts that failed, the first of these is what the client is told.
_TELLING = [*_REFUSALS.values(), Refusal.FAILED]


def interleaved(addresses: list[bytes]) -> list[bytes]:
    """The addresses with their families taking turns, the first one's first (RFC 8305 §4)."""
    if not addresses:
        return []
    first = [address for address in addresses if len(address) == len(addresses[0])]
    second = [address for address in addresses if len(address) != len(addresses[0])]
    turns = zip_longest(first, second)
    return [address for turn in turns for address in turn if address is not None]


class Reached(msgspec.Struct, frozen=True):
    """A connected stream (vpn.proxy.stream), registered with the poller; the caller owns it.

    `unread`: it may hold bytes already, of which no event will tell again.
    """

    stream: Any
    address: str
    unread: bool
    early: bytes = b""
    """What it has said already."""


class Unreached(msgspec.Struct, frozen=True):
    """No connection. `detail` says more for the log, e.g. the kind of a forbidden address."""

    why: Refusal
    detail: str


Outcome = Reached | Unreached
_NO_FAILURE = Unreached(Refusal.FAILED, "")


class Connector:
    """One try to reach one destination. It is made, started, and calls `done` once unless cancelled.

    Args:
        guard: says which addresses are forbidden.
        session: told when the name is resolved, if it is traced; None: there is none.
    """

    __slots__ = ("_attempts", "_core", "_done", "_failure", "_guard", "_host", "_port", "_session", "_todo", "_wake")

    def __init__(
        self,
        core: Core,
        host: str,
        port: int,
        done: Callable[[Outcome], None],
        guard: Guard,
        session: Session | None = None,
    ) -> None:
        self._session = session
        self._guard = guard
        self._core = core
        self._host = host
        self._port = port
        self._done: Callable[[Outcome], None] | None = done
        self._attempts: dict[socket.SocketType, str] = {}
        self._todo: list[str] = []
        self._failure = _NO_FAILURE
        self._wake: Timer | None = None

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        packed = pack(self._host)
        if packed is None:
            self._core.resolver.resolve(self._host, self._resolved)
        elif why := self._guard.forbids(packed):
            self._finish(Unreached(Refusal.NOT_ALLOWED, why))
        elif not self._attempt(unpack(packed)):
            self._finish(self._failure)

    def cancel(self) -> None:
        """Forget it; `done` is not called."""
        self._done = None
        self._clear()

    def _resolved(self, addresses: list[bytes]) -> None:
        if self._done is None:
            return
        if not addresses:
            self._finish(Unreached(Refusal.NAME_NOT_FOUND, ""))
            return
        if self._session is not None and self._session.phases is not None:
            self._session.mark("resolved", time.time())
        why = [self._guard.forbids(address) for address in addresses]
        addresses = [address for address, kind in zip(addresses, why, strict=True) if not kind]
        if not addresses:
            self._finish(Unreached(Refusal.NOT_ALLOWED, why[0]))
            return
        self._todo = [unpack(address) for address in interleaved(addresses)[:MOST_ATTEMPTS]]
        self._next()

    def _next(self) -> None:
        """Start attempts until one is under way, or none is left."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        while self._todo and self._done is not None:
            if self._attempt(self._todo.pop(0)):
                if self._todo:
                    self._wake = self._core.poller.call_later(STAGGER, self._next)
                return
        if not self._attempts and self._done is not None:
            self._finish(self._failure)

    def _attempt(self, address: str) -> bool:
        """Start one attempt; False if it failed at once."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            sock = socket.SocketType(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._failed(error.errno)
            return False
        code = sock.connect_ex((address, self._port))
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            self._failed(code)
            return False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self._attempts[sock] = address
        # Loopback connects at once. Otherwise WRITE tells when, and stays: edge-triggered, it costs nothing.
        events = READ | EDGE if code == 0 else READ | WRITE | EDGE
        self._core.poller.register(sock.fileno(), lambda mask: self._on_event(sock, mask), events)
        if code == 0:
            self._won(sock, 0)
        return True

    def _on_event(self, sock: socket.SocketType, mask: int) -> None:
        if not mask & HANGUP:
            if mask & WRITE:
                self._won(sock, mask)
            return
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and mask & WRITE:  # it was reached, and has hung up already
            self._won(sock, mask)
            return
        del self._attempts[sock]
        self._core.poller.close(sock)
        self._failed(code)
        self._next()

    def _won(self, sock: socket.SocketType, mask: int) -> None:
        self._finish(Reached(sock, self._attempts.pop(sock), unread=bool(mask & READ)))

    def _failed(self, code: int | None) -> None:
        why = _REFUSALS.get(code or 0, Refusal.FAILED)
        if _TELLING.index(why) <= _TELLING.index(self._failure.why):
            detail = errno.errorcode.get(code or 0, "").lower() if why is Refusal.FAILED else ""
            self._failure = Unreached(why, detail)

    def _finish(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        self._clear()
        if done is not None:
            done(outcome)

    def _clear(self) -> None:
        self._todo = []
        if self._wake is not None:
            self._wake.cancel()
        for sock in self._attempts:
            self._core.poller.close(sock)
        self._attempts.clear()
