"""What Outline fetches for a dynamic key: a server, or why there is none, which it shows to its user.

Outline shows an error only when it comes with status 200; with any other it says that it could not fetch anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from vpn.domain.shadowsocks import method_of
from vpn.links.documents.nodes import Node, named
from vpn.links.documents.profile import Usage
from vpn.links.shadowsocks import ShadowsocksLink


def write_json(nodes: Sequence[Node], _usage: Usage | None = None) -> str:
    """The first server that Outline can use, as JSON; an error object where there is none."""
    link = _usable(nodes)
    if link is None:
        return _nothing()
    return json.dumps({"server": link.host, "server_port": link.port, "password": link.password, "method": link.method})


def write_error(message: str, details: str = "") -> str:
    """Why there is no server, e.g. that the user has expired."""
    return json.dumps({"error": {"message": message} | ({"details": details} if details else {})}, ensure_ascii=False)


def _usable(nodes: Sequence[Node]) -> ShadowsocksLink | None:
    """The first one that Outline can use: it knows neither the methods of 2022 nor plugins."""
    for node in named(nodes):
        link = node.link
        if isinstance(link, ShadowsocksLink) and not link.plugin and method_of(link.method).edition != 2022:
            return link
    return None


def _nothing() -> str:
    return write_error("There is no server here that Outline can use.", "It needs Shadowsocks with an AEAD cipher.")
