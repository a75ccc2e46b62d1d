"""Listening sockets."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import TYPE_CHECKING

from vpn.domain.inbound import Inbound
from vpn.domain.session import Session
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.entry import Entry
from vpn.proxy.handshake import Handshake
from vpn.proxy.stream import set_keepalive

if TYPE_CHECKING:
    from vpn.proxy.arrival import Arrivals
    from vpn.proxy.unsealing import Unsealings

BACKLOG = 4096  # connections that may wait to be accepted
_BATCH = 64  # connections accepted before the others have their turn
_PAUSE = 0.25  # seconds without accepting when descriptors have run out
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SILENCE = 1  # seconds that the kernel keeps a client that says nothing to itself


def open_socket(address: tuple[str, int], family: int, keepalive: int = 0) -> socket.socket:
    """A listening socket in a SO_REUSEPORT group, for one worker.

    Raises:
        OSError: the address is in use, or not ours.
    """
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit what follows, which saves as many system calls a connection.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        set_keepalive(sock, keepalive)
        # Clients speak first in all our protocols, so a client is accepted with its first bytes.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _SILENCE)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _arriving(inbound: Inbound) -> tuple[object, ...]:
    """What of an inbound decides how its clients arrive, but for who is believed to come for others."""
    return inbound.protocol == "shadowsocks", inbound.tls, inbound.method, inbound.key


class Listener:
    """Accepts the clients of one inbound. The socket belongs to the listener."""

    def __init__(self, core: Core, sock: socket.SocketType, entry: Entry) -> None:
        self._core = core
        # The C class below socket.socket: making its Python subclass costs more than the accept itself.
        self._sock = socket.SocketType(fileno=sock.detach())
        self._family = int(self._sock.family)
        self._exhausted = False
        self._arrivals: Arrivals | Unsealings | None = None
        self.entry = entry
        self.serve(entry)
        core.poller.register(self._sock.fileno(), self._on_event, select.EPOLLIN)

    def serve(self, entry: Entry) -> None:
        """Serve clients that come from now on this way."""
        alike = self._arrivals is not None and _arriving(entry.inbound) == _arriving(self.entry.inbound)
        self.entry = entry
        self._name = entry.inbound.name
        set_keepalive(self._sock, entry.inbound.keepalive)
        if alike and not entry.plain:
            return  # another inbound has changed, perhaps: no reason to read the certificate again
        if self._arrivals is not None:
            self._arrivals.close()
            self._arrivals = None
        # Who is silent and who talks nonsense are to be closed after the same time.
        silence = 0 if entry.sealed else _SILENCE
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, silence)
        if entry.sealed:
            # A worker that serves no Shadowsocks does without the memory of its ciphers.
            from vpn.proxy.unsealing import Unsealings  # noqa: PLC0415

            self._arrivals = Unsealings(self._core, entry)
        elif not entry.plain:
            # A worker that serves neither TLS nor load balancers does without the memory of OpenSSL.
            from vpn.proxy.arrival import Arrivals  # noqa: PLC0415

            self._arrivals = Arrivals(self._core, entry)

    def close(self) -> None:
        """Accept no more."""
        if self._arrivals is not None:
            self._arrivals.close()
        self._core.poller.close(self._sock)

    def _on_event(self, mask: int) -> None:
        accept = self._sock._accept  # type: ignore[attr-defined] # what accept() is made of
        for _ in range(_BATCH):
            try:
                fd, address = accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                continue  # this one client went away before it was accepted
            sock = socket.SocketType(self._family, socket.SOCK_STREAM, 0, fd)
            try:
                self._welcome(sock, address[0], address[1])
            except OSError as error:  # the kernel has no room for another descriptor in epoll
                sock.close()
                self._pause(error)
                return
        self._exhausted = False

    def _welcome(self, sock: socket.SocketType, host: str, port: int) -> None:
        core, entry = self._core, self.entry
        now = time.time()
        session = Session(core.next_session_id(now), self._name, host, port, now)
        if core.trace_ratio:
            core.trace(session)
        # Behind a load balancer it is not yet known who comes: `Arrivals` asks when it is. And nobody is closed
        # at once by `Unsealings`.
        banned = self._arrivals is None and core.bans.source_banned(host)
        if banned or not entry.take_place():
            core.counters.over_capacity += not banned
            session.end("failed", "source_banned" if banned else "too_many_connections", session.started)
            core.book(session)
            sock.close()
            return
        client = Client(entry, core.nobody)
        try:
            if self._arrivals is None:
                Handshake(core, sock, session, client, entry.admitted(host)).start()
            else:
                self._arrivals.welcome(sock, session, client)
        except OSError:
            client.leave()
            session.end("failed", "out_of_descriptors", now)
            core.book(session)
            raise

    def _pause(self, error: OSError) -> None:
        """Out of descriptors: say so once, and try again when some may have been closed."""
        self._core.counters.accept_pauses += 1
        if not self._exhausted:
            self._exhausted = True
            self._core.log("error", "not accepting", inbound=self._name, reason=error.strerror)
        self._core.poller.modify(self._sock.fileno(), 0)
        self._core.poller.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self._core.poller.modify(self._sock.fileno(), select.EPOLLIN)
