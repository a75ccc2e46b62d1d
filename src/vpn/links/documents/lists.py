"""Lists of links, a line for each: in plain text for people, in base64 for clients; and single ones."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from vpn.domain.errors import NotFound
from vpn.links import proxy, schemes, sip008, wireguard
from vpn.links.documents.nodes import Node, named
from vpn.links.documents.profile import Usage
from vpn.links.proxy import ProxyLink
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.wireguard import WireGuardLink


def write_plain(nodes: Sequence[Node], _usage: Usage | None = None) -> str:
    """All links, a line each."""
    return "".join(f"{schemes.build(node.link)}\n" for node in named(nodes))


def write_base64(nodes: Sequence[Node], _usage: Usage | None = None) -> str:
    """The list that v2rayNG, Shadowrocket, Streisand and many others fetch, in base64.

    HTTP proxies are not in it: clients would take their URLs for those of other subscriptions.
    """
    lines = [_shared(node) for node in named(nodes)]
    return base64.b64encode("\n".join(line for line in lines if line).encode()).decode()


def write_sip008(nodes: Sequence[Node], usage: Usage | None = None) -> str:
    """The SIP008 document with the Shadowsocks servers."""
    links = [node.link for node in named(nodes) if isinstance(node.link, ShadowsocksLink)]
    if usage is None:
        return sip008.build(links)
    used = usage.upload + usage.download
    return sip008.build(links, used, None if usage.total is None else max(0, usage.total - used))


def write_wireguard(nodes: Sequence[Node], _usage: Usage | None = None) -> str:
    """The configuration of the first WireGuard server.

    Raises:
        NotFound: there is none.
    """
    for node in nodes:
        if isinstance(node.link, WireGuardLink):
            return wireguard.build_conf(node.link)
    raise NotFound("nothing_to_write", "there is no WireGuard server in it", "choose another format")


def _shared(node: Node) -> str:
    link = node.link
    if not isinstance(link, ProxyLink):
        return schemes.build(link)
    return proxy.build_shared(link) if proxy.is_shared(link) else ""
