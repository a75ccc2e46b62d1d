"""Listening sockets, and which protocols are spoken on them."""

from __future__ import annotations

import errno
import select
import socket
import string
import time

from vpn.domain.inbound import Inbound
from vpn.domain.session import Session
from vpn.protocols import http1, socks5
from vpn.proxy.core import Core
from vpn.proxy.handshake import Handshake, Speaker, Speakers

BACKLOG = 4096  # connections that may wait to be accepted
_BATCH = 64  # connections accepted before the others have their turn
_PAUSE = 0.25  # seconds without accepting when descriptors have run out
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_HTTP = Speaker("http", http1.parse)
_SOCKS5 = Speaker("socks5", socks5.parse)

# Inbound protocol -> first byte -> who speaks. A new protocol is a row here.
PROTOCOLS: dict[str, Speakers] = {
    "mixed": {socks5.VERSION: _SOCKS5, **dict.fromkeys(string.ascii_letters.encode(), _HTTP)},
}


def open_socket(address: tuple[str, int], family: int) -> socket.socket:
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
        # Accepted sockets inherit these three, which saves as many system calls a connection.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


class Listener:
    """Accepts the clients of one inbound. The socket belongs to the listener."""

    def __init__(self, core: Core, sock: socket.SocketType, inbound: Inbound) -> None:
        self._core = core
        self._inbound = inbound.name
        self._speakers = PROTOCOLS[inbound.protocol]
        # The C class below socket.socket: making its Python subclass costs more than the accept itself.
        self._sock = socket.SocketType(fileno=sock.detach())
        self._family = int(self._sock.family)
        self._exhausted = False
        core.poller.register(self._sock.fileno(), self._on_event, select.EPOLLIN)

    def close(self) -> None:
        """Accept no more."""
        self._core.poller.close(self._sock)

    def _on_event(self, mask: int) -> None:
        core = self._core
        for _ in range(_BATCH):
            try:
                fd, address = self._sock._accept()  # type: ignore[attr-defined] # what accept() is made of
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                continue  # this one client went away before it was accepted
            sock = socket.SocketType(self._family, socket.SOCK_STREAM, 0, fd)
            sock.setblocking(False)
            session = Session(core.next_session_id(), self._inbound, address[0], address[1], time.time())
            try:
                Handshake(core, sock, session, self._speakers).start()
            except OSError as error:  # the kernel has no room for another descriptor in epoll
                sock.close()
                self._pause(error)
                return
        self._exhausted = False

    def _pause(self, error: OSError) -> None:
        """Out of descriptors: say so once, and try again when some may have been closed."""
        if not self._exhausted:
            self._exhausted = True
            self._core.log("error", "not accepting", inbound=self._inbound, reason=error.strerror)
        self._core.poller.modify(self._sock.fileno(), 0)
        self._core.poller.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self._core.poller.modify(self._sock.fileno(), select.EPOLLIN)
