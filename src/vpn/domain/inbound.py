"""Inbounds: listening endpoints."""

from __future__ import annotations

import msgspec

from vpn.domain.address import Endpoint


class Inbound(msgspec.Struct, frozen=True):
    """A listening endpoint: protocol, address and port, and the engine that serves it."""

    name: str
    protocol: str
    """``mixed``: SOCKS5 and HTTP on one port, told apart by the first byte."""
    listen: Endpoint
    engine: str = "embedded"
