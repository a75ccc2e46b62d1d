"""Listening sockets of an inbound, one for each worker, opened by the daemon."""

from __future__ import annotations

import socket
from typing import Any

import msgspec

from vpn.domain.inbound import Inbound
from vpn.proxy.control import Listening
from vpn.proxy.listener import open_socket


class Bound:
    """An inbound with one listening socket for each worker.

    Args:
        wanted: the inbound as it was asked for; in `inbound` the port is the real one.
    """

    def __init__(self, wanted: Inbound, sockets: list[socket.socket]) -> None:
        self.sockets = sockets
        self.number = 0
        """Tells the sockets from all that were opened before."""
        self.column = 0
        self._endpoint = wanted.listen._replace(host=sockets[0].getsockname()[0], port=sockets[0].getsockname()[1])
        self.amend(wanted)

    def amend(self, wanted: Inbound) -> None:
        """The same sockets, served in another way."""
        self.wanted = wanted
        self.inbound = msgspec.structs.replace(wanted, listen=self._endpoint)

    def listening(self) -> Listening:
        """What workers are told."""
        return Listening(self.number, self.column, self.inbound)

    def close(self) -> None:
        """Close our copies of the sockets."""
        for sock in self.sockets:
            sock.close()


def bind(inbound: Inbound, workers: int) -> Bound:
    """Open the listening sockets of an inbound, one per worker.

    Port 0 takes any free port, the same for all workers.

    Raises:
        OSError: the address cannot be listened on.
    """
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
    return Bound(inbound, sockets)


def _refuse_taken_port(address: Any, family: int) -> None:
    """SO_REUSEPORT would let us share a port with another program of ours: ask without it first."""
    if address[1] != 0:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen(1)
