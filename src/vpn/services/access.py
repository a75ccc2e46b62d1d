"""What a user needs to connect: links to every inbound."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

from vpn.domain.address import pack
from vpn.domain.inbound import Inbound
from vpn.links import proxy
from vpn.settings.server import ServerSettings

# Which links lead to an inbound of which protocol.
_SCHEMES = {"mixed": ("socks5h", "http"), "socks": ("socks5h",), "http": ("http",), "shadowsocks": ()}
_SCHEMES_TLS = {"mixed": ("https",), "socks": (), "http": ("https",)}


def links_for(inbounds: Sequence[Inbound], user: str, password: str) -> list[str]:
    """The links by which a user reaches these inbounds."""
    return [
        proxy.build(proxy.ProxyLink(scheme, reachable_host(inbound.listen.host), inbound.listen.port, user, password))
        for inbound in inbounds
        if inbound.listen.port  # nobody knows yet which one it will be
        for scheme in (_SCHEMES_TLS if inbound.tls else _SCHEMES)[inbound.protocol]
    ]


class Reach(NamedTuple):
    """Where clients reach an inbound."""

    host: str
    port: int
    guessed: bool
    """Nothing says the host: it is the best guess that can be made here."""


def reach(inbound: Inbound, server: ServerSettings) -> Reach:
    """Where clients reach this inbound: as it says, else as the server says, else by a guess."""
    port = inbound.public_port or inbound.listen.port
    said = inbound.public_host or server.public_host
    return Reach(said, port, guessed=False) if said else Reach(reachable_host(inbound.listen.host), port, guessed=True)


def reachable_host(host: str) -> str:
    """An address that a client can use: for "all addresses" (0.0.0.0, ::) the one that leads out of here."""
    packed = pack(host)
    if packed is None or any(packed):
        return host
    family, somewhere = (socket.AF_INET, "192.0.2.1") if len(packed) == 4 else (socket.AF_INET6, "2001:db8::1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))  # a datagram socket sends nothing by connecting
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1" if len(packed) == 4 else "::1"
