"""How connections go out: which destinations are open, how names are resolved, and through whom."""

from __future__ import annotations

import msgspec

from vpn.domain.address import Endpoint

DIRECT = "direct"
"""The upstream that is none: the destination itself is connected to."""


class Resolving(msgspec.Struct, frozen=True, kw_only=True):
    """How names become addresses."""

    servers: tuple[str, ...] = ()
    """Name servers, as ``192.0.2.1`` or ``192.0.2.1:53``; empty: the system's."""
    prefer: str = "auto"
    """Which family is tried first: ``v4``, ``v6``, or ``auto``, the resolver's own order (RFC 6724)."""
    hosts: dict[str, tuple[str, ...]] = {}
    """Names whose addresses are given, whatever DNS says."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A parent proxy."""

    name: str
    protocol: str
    """``socks5``, ``http``, or ``https``: HTTP CONNECT in TLS."""
    address: Endpoint
    user: str = ""
    password: str = ""
    via: str = ""
    """The upstream that this one is reached through: a chain."""
    ca: str = ""
    """A file of certificates that an ``https`` upstream's must come from; empty: the system's."""
    resolve: str = "there"
    """Who resolves names: the upstream (``there``) or we (``here``)."""


class Choice(msgspec.Struct, frozen=True):
    """One upstream of a route. Weights say how connections are shared; those of weight 0 stand by."""

    upstream: str
    weight: int = 1


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Which connections go through which upstreams. The first route that matches is taken."""

    upstreams: tuple[Choice, ...]
    destinations: tuple[str, ...] = ()
    """Patterns (vpn.domain.destination); empty: every destination."""
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Whose connections: these users', and those of these groups' members; both empty: everybody's."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Connections to upstreams that are made before they are needed."""

    max_idle_per_upstream: int = 0
    max_idle: int = 64
    idle_timeout: float = 90


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    private_destinations: bool = False
    resolving: Resolving = Resolving()
    upstreams: tuple[Upstream, ...] = ()
    routes: tuple[Route, ...] = ()
    pool: Pool = Pool()
    probe_interval: float = 30
    """Seconds between two looks whether an upstream that failed is back."""
