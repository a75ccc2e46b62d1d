"""What the phases of a connection need of a socket; plain ones and TLS ones (vpn.proxy.tls) have it."""

from __future__ import annotations

import socket
import struct
from typing import Any, Protocol

DONTWAIT = socket.MSG_DONTWAIT
"""Given with every read and write: accepted sockets need not be made non-blocking first, a system call less."""


_NO_LINGER = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
_PROBES = 3  # unanswered questions whether the other side is there, until it counts as gone


class Stream(Protocol):
    """A connected byte stream that never waits.

    Where a plain socket raises BlockingIOError, a stream does. `send` may take less than it is given; the
    rest is given to it again, from where it left off, when the descriptor is writable.
    """

    def fileno(self) -> int:
        """The descriptor to watch."""

    def recv(self, bufsize: int, flags: int = ..., /) -> bytes:
        """Read; empty at the end of the stream."""

    def recv_into(self, buffer: bytearray, nbytes: int = ..., flags: int = ..., /) -> int:
        """Read into a buffer; short only if there is no more, or the end or urgent data follows."""

    def send(self, data: bytes | memoryview, flags: int = ..., /) -> int:
        """Send; how much was taken."""

    def shutdown(self, how: int, /) -> None:
        """End our direction."""

    def setsockopt(self, level: int, optname: int, value: Any, /) -> None:
        """Set an option of the socket."""

    def getsockname(self) -> Any:
        """The local address."""

    def close(self) -> None:
        """Close."""


class Layered(Stream, Protocol):
    """A stream that holds bytes of its own, of which the descriptor does not tell."""

    @property
    def unread(self) -> bool:
        """Whether there is more to read of which no event will tell."""


def layered(stream: Stream) -> Layered | None:
    """The stream, if it is such a one."""
    return None if type(stream) is socket.SocketType else stream  # type: ignore[return-value]


def has_ended(stream: Stream) -> bool:
    """Whether a plain stream's end came with what was read last: no event tells of it again.

    Raises:
        OSError: it is broken.
    """
    if type(stream) is not socket.SocketType:
        return False
    try:
        return not stream.recv(1, DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return False


def reset_on_close(stream: Stream) -> None:
    """Let closing be a reset, which nobody takes for a proper end."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def set_keepalive(sock: socket.SocketType | Stream, seconds: int) -> None:
    """Let TCP ask, after so many seconds of silence, whether the other side is there; 0: never."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1 if seconds else 0)
    if seconds:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // _PROBES))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
