"""Listening sockets of an inbound, one for each worker, opened by the daemon.

Where the protocol has datagrams, too (Shadowsocks), there is one more socket, on the same address and port, which one
of the workers has: it alone knows which datagrams have come before.
"""

from __future__ import annotations

import socket
from itertools import count
from typing import Any
from zlib import crc32

import msgspec

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy.control import Listening
from vpn.proxy.listener import open_socket

PACKETS = "(UDP)"
"""How the reason of an error ends that is about the socket for datagrams."""
_ATTEMPTS = 16  # to find a port that is free for datagrams, too


class Bound:
    """An inbound with one listening socket for each worker.

    Args:
        wanted: the inbound as it was asked for; in `inbound` the port is the real one.
        packets: the socket for datagrams, where the protocol has them.
    """

    def __init__(self, wanted: Inbound, sockets: list[socket.socket], packets: socket.socket | None = None) -> None:
        self.sockets = sockets
        self.packets = packets
        self.packets_number = 0
        """Tells the socket for datagrams from all that were opened before; 0: there is none, or it has none yet."""
        self.number = 0
        """Tells the sockets from all that were opened before."""
        self.column = 0
        self._packets_worker = _worker_of(wanted, len(sockets))
        self._endpoint = wanted.listen._replace(host=sockets[0].getsockname()[0], port=sockets[0].getsockname()[1])
        self.amend(wanted)

    def amend(self, wanted: Inbound) -> None:
        """The same sockets, served in another way; `prepare` has been called where that may need another one."""
        if self.packets is not None and not has_datagrams(wanted):
            self.packets.close()
            self.packets = None
            self.packets_number = 0
        self.wanted = wanted
        self.inbound = msgspec.structs.replace(wanted, listen=self._endpoint)

    def prepare(self, wanted: Inbound) -> None:
        """Have all sockets that are needed to be `amend`ed.

        Raises:
            OSError: there is one that cannot be had.
        """
        if self.packets is None and has_datagrams(wanted):
            self.packets = open_packets(self._endpoint, self.sockets[0].family)
            self._packets_worker = _worker_of(wanted, len(self.sockets))

    def listening(self, worker: int) -> Listening:
        """What a worker is told."""
        return Listening(self.number, self.column, self.inbound, self.packets_number if self._serves(worker) else 0)

    def served_by(self, worker: int) -> list[tuple[int, socket.socket]]:
        """The sockets that a worker is given, by what tells them from others."""
        served = [(self.number, self.sockets[worker])]
        if self.packets is not None and self._serves(worker):
            served.append((self.packets_number, self.packets))
        return served

    def _serves(self, worker: int) -> bool:
        """Whether a worker is the one that has the socket for datagrams."""
        return self.packets is not None and self._packets_worker == worker

    def close(self) -> None:
        """Close our copies of the sockets."""
        for sock in self.sockets:
            sock.close()
        if self.packets is not None:
            self.packets.close()


def has_datagrams(inbound: Inbound) -> bool:
    """Whether clients of this inbound send datagrams to its port, too."""
    return inbound.protocol == "shadowsocks"


def _worker_of(inbound: Inbound, workers: int) -> int:
    """Who has the datagrams: all inbounds of a method have the same worker, or what was sent to one of them could be
    played back at another."""
    return crc32(inbound.method.encode()) % workers


def open_packets(endpoint: Endpoint, family: int) -> socket.socket:
    """A socket for datagrams.

    Raises:
        OSError: the address is in use, or not ours.
    """
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((endpoint.host, endpoint.port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{error.strerror} {PACKETS}") from None
    return sock


def bind(inbound: Inbound, workers: int) -> Bound:
    """Open the listening sockets of an inbound, one per worker.

    Port 0 takes any free port, the same for all workers, and for datagrams.

    Raises:
        OSError: the address cannot be listened on.
    """
    if not has_datagrams(inbound):
        return Bound(inbound, _open_all(inbound, workers))
    for attempt in count(1):
        sockets = _open_all(inbound, workers)
        host, port = sockets[0].getsockname()[:2]
        try:
            return Bound(inbound, sockets, open_packets(Endpoint(host, port), sockets[0].family))
        except OSError:
            for sock in sockets:
                sock.close()
            if inbound.listen.port or attempt >= _ATTEMPTS:
                raise
    raise AssertionError


def _open_all(inbound: Inbound, workers: int) -> list[socket.socket]:
    """A listening socket for each worker."""
    host, port = inbound.listen
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    _refuse_taken_port(address, family)
    sockets: list[socket.socket] = []
    try:
        for _ in range(workers):
            sockets.append(open_socket((host, port), family, inbound.keepalive))
            port = sockets[0].getsockname()[1]
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _refuse_taken_port(address: Any, family: int) -> None:
    """SO_REUSEPORT would let us share a port with another program of ours: ask without it first."""
    if address[1] != 0:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen(1)
