"""SOCKS BIND: wait for one connection from the peer that the client named."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable

from vpn.domain.address import pack
from vpn.protocols.events import Bind, Bound, Connected, Refusal
from vpn.proxy.connector import Reached, Unreached
from vpn.proxy.core import Core
from vpn.proxy.judge import Guard
from vpn.proxy.poller import EDGE, READ, WRITE

_BACKLOG = 8
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BATCH = 8  # strangers turned away before the others have their turn


class Binder:
    """One BIND. It is started, says where it listens, and after `accept` who came; unless cancelled.

    Args:
        request: names the expected peer, by address or name; 0.0.0.0 or :: for anybody.
        guard: says which addresses are forbidden.
        local: the address to listen on: the one that the client reached us by.
        bound: called with the listening address.
        accepted: called with the peer's connection, and where it came from.
        refused: called with the reason where there is no address, or no peer.
    """

    __slots__ = (
        "_accepted",
        "_anybody",
        "_bound",
        "_core",
        "_guard",
        "_local",
        "_peers",
        "_refused",
        "_request",
        "_sock",
    )

    def __init__(
        self,
        core: Core,
        request: Bind,
        guard: Guard,
        local: str,
        bound: Callable[[Bound], None],
        accepted: Callable[[Reached, Connected], None],
        refused: Callable[[Unreached], None],
    ) -> None:
        self._core = core
        self._request = request
        self._guard = guard
        self._local = local
        self._bound: Callable[[Bound], None] | None = bound
        self._accepted = accepted
        self._refused = refused
        self._peers: set[bytes] = set()
        self._anybody = False
        self._sock: socket.SocketType | None = None

    def start(self) -> None:
        """Begin; `bound` or `refused` may be called before this returns."""
        packed = pack(self._request.host)
        if packed is None:
            self._core.resolver.resolve(self._request.host, self._listen)
        else:
            self._anybody = not any(packed)
            self._listen([] if self._anybody else [packed])

    def accept(self) -> None:
        """The client knows where the peer is to come: let it come."""
        assert self._sock is not None
        self._core.poller.register(self._sock.fileno(), self._on_event, select.EPOLLIN)

    def cancel(self) -> None:
        """Forget it; nothing is called any more."""
        self._bound = None
        if self._sock is not None:
            self._core.poller.close(self._sock)
            self._sock = None

    def _listen(self, peers: list[bytes]) -> None:
        bound, self._bound = self._bound, None
        if bound is None:
            return
        if not peers and not self._anybody:
            self._refused(Unreached(Refusal.NAME_NOT_FOUND, ""))
            return
        why = [self._guard.forbids(peer) for peer in peers]
        if peers and all(why):
            self._refused(Unreached(Refusal.NOT_ALLOWED, why[0]))
            return
        self._peers = {peer for peer, kind in zip(peers, why, strict=True) if not kind}
        family = socket.AF_INET6 if ":" in self._local else socket.AF_INET
        try:
            sock = socket.SocketType(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            self._refused(Unreached(Refusal.FAILED, "no_descriptors"))
            return
        try:
            # The peer's socket inherits both.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((self._local, 0))
            sock.listen(_BACKLOG)
        except OSError:
            sock.close()
            self._refused(Unreached(Refusal.FAILED, "cannot_listen"))
            return
        self._sock = sock
        local = sock.getsockname()
        bound(Bound(local[0], local[1]))

    def _on_event(self, mask: int) -> None:
        for _ in range(_BATCH):
            if self._sock is None:
                return
            try:
                fd, address = self._sock._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:  # it would be told again and again
                    self.cancel()
                    self._refused(Unreached(Refusal.FAILED, "no_descriptors"))
                    return
                continue  # gone before it was accepted
            peer = socket.SocketType(self._sock.family, socket.SOCK_STREAM, 0, fd)
            packed = pack(address[0].partition("%")[0])
            if packed is not None and self._expected(packed):
                self._welcome(peer, address[0])
            else:
                peer.close()  # a stranger; whom the client waits for may still come

    def _expected(self, packed: bytes) -> bool:
        if self._anybody:
            return not self._guard.forbids(packed)
        return packed in self._peers

    def _welcome(self, peer: socket.SocketType, address: str) -> None:
        self.cancel()
        try:
            end = peer.getpeername()
        except OSError:  # it came and went
            peer.close()
            self._refused(Unreached(Refusal.FAILED, "peer_gone"))
            return
        self._core.poller.register(peer.fileno(), lambda mask: None, READ | WRITE | EDGE)
        self._accepted(Reached(peer, address, unread=True), Connected(end[0], end[1]))
