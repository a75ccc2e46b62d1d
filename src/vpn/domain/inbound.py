"""Inbounds: listening endpoints."""

from __future__ import annotations

import msgspec

from vpn.domain.address import Endpoint


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may take, in seconds."""

    handshake: float = 10
    """A client, until it has said what it wants."""
    connect: float = 10
    """A destination, until it has answered."""
    idle: float = 600
    """A tunnel in which nothing moves."""
    half_closed: float = 120
    """The same, once one side has said that it is done."""
    request: float = 60
    """A kept HTTP connection, until its next request."""
    bind: float = 120
    """The peer that BIND waits for."""
    udp: float = 120
    """An association without datagrams."""


class TLS(msgspec.Struct, frozen=True, kw_only=True):
    """How an inbound speaks TLS. Paths are absolute, and read by the workers."""

    certificate: str
    key: str
    minimum_version: str = "1.2"
    """``1.2`` or ``1.3``."""
    alpn: tuple[str, ...] = ()
    client_ca: str = ""
    client_certificates: str = "none"
    """``none``, ``optional`` or ``required``."""
    certificate_names_user: bool = False
    """Whether the common name of a client's certificate is its user, who needs no password then."""


class Inbound(msgspec.Struct, frozen=True):
    """A listening endpoint: protocol, address and port, and the engine that serves it."""

    name: str
    protocol: str
    """``socks``, ``http``, or ``mixed``: both on one port, told apart by the first byte; ``shadowsocks``."""
    listen: Endpoint
    engine: str = "embedded"
    tls: TLS | None = None
    open_to: tuple[str, ...] = ()
    """Networks whose clients need no credentials."""
    anonymous_user: str = "anonymous"
    """Who such a client is."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of load balancers, which begin with a PROXY protocol header."""
    timeouts: Timeouts = Timeouts()
    keepalive: int = 60
    """Seconds of silence until TCP asks whether the other side is still there; 0: never."""
    max_connections: int = 0
    """Clients at once, over all workers; 0: no limit."""
    via: str = ""
    """The name by which forwarded HTTP messages tell of us; empty: they do not."""
    udp_address: str = ""
    """The address that UDP clients are told; empty: the one that they reached us by."""
    method: str = ""
    """Shadowsocks' (vpn.domain.shadowsocks)."""
    key: str = ""
    """Shadowsocks' own key of the inbound, in base64, where clients say who they are by identity headers. A secret."""
    public_host: str = ""
    """Where clients reach it: an address or a name; empty: where the server is reached."""
    public_port: int = 0
    """And at which port; 0: the one that it listens on."""
    managed: bool = False
    """Whether it was added by a command, and not by the settings."""
