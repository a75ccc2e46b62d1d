"""A socket for datagrams, by which many clients are answered: each from the address that it wrote to.

Where a socket listens on all addresses of a machine, the kernel would choose the one that answers come from; a client,
or the address translator before it, takes them from the one that it knows only.
"""

from __future__ import annotations

import socket
from struct import Struct

Source = tuple[str, int] | tuple[str, int, int, int]
"""Where a client is."""
Local = list[tuple[int, int, bytes]]
"""Which address of ours a client wrote to, as the kernel takes it; empty: there is but one."""

_IP_PKTINFO = 8
_V4 = Struct("@i4s4s")  # interface, our address, the one in the header
_V6 = Struct("@16si")
_ROOM = socket.CMSG_SPACE(_V6.size)
_WAITING = 1 << 21  # bytes that the kernel keeps while we are busy, as far as it lets us


class PacketSocket:
    """Owns the socket that it is made of."""

    def __init__(self, sock: socket.socket) -> None:
        self.family = int(sock.family)
        self._anywhere = sock.getsockname()[0] in ("0.0.0.0", "::")  # noqa: S104 -- it is asked, not bound
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        if self._anywhere and self.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        elif self._anywhere:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        # The C class below socket.socket: it is quicker.
        self._sock = socket.SocketType(fileno=sock.detach())

    def fileno(self) -> int:
        """The descriptor; -1: it is closed."""
        return self._sock.fileno()

    def getsockname(self) -> Source:
        """Where it listens."""
        name: Source = self._sock.getsockname()
        return name

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def receive(self, buffer: bytearray) -> tuple[int, Source, Local]:
        """The next datagram: its size, where it comes from, and where it came to.

        Raises:
            BlockingIOError: there is none.
            OSError: an answer did not arrive.
        """
        if not self._anywhere:
            count, source = self._sock.recvfrom_into(buffer)
            return count, source, []
        count, messages, _, source = self._sock.recvmsg_into([buffer], _ROOM)
        return count, source, [_answering(*message) for message in messages]

    def send(self, data: bytes, client: Source, local: Local) -> None:
        """Answer a client.

        Raises:
            OSError: it did not go.
        """
        if local:
            self._sock.sendmsg([data], local, 0, client)
        else:
            self._sock.sendto(data, client)


def _answering(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """What makes the kernel answer from the address that this says a datagram came to, by whichever interface."""
    if kind == _IP_PKTINFO and level == socket.IPPROTO_IP:
        return level, kind, _V4.pack(0, _V4.unpack(data)[1], bytes(4))
    address, interface = _V6.unpack(data)
    link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
    return level, kind, _V6.pack(address, interface if link_local else 0)
