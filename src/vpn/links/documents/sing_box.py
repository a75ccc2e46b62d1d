"""The configuration that sing-box takes, and the apps that have it in them, as version 1.12 and later want it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from vpn.links.documents.nodes import Node, named
from vpn.links.documents.profile import Usage
from vpn.links.documents.sing_box_outbounds import endpoint_of, outbound_of
from vpn.links.wireguard import WireGuardLink

SELECTOR = "select"
_RESOLVER = "1.1.1.1"
_TUN = ["172.18.0.1/30", "fdfe:dcba:9876::1/126"]


def write(nodes: Sequence[Node], _usage: Usage | None = None) -> str:
    """All nodes that sing-box can use, a selector, and a tun interface, so that apps are a VPN with it.

    Without any, everything is refused: nothing that should be hidden goes out openly.
    """
    outbounds, endpoints = [], []
    for node in named(nodes, (SELECTOR,)):
        if isinstance(node.link, WireGuardLink):
            endpoints.append(endpoint_of(node.name, node.link))
        elif (outbound := outbound_of(node.name, node.link)) is not None:
            outbounds.append(outbound)
    tags = [each["tag"] for each in (*outbounds, *endpoints)]
    document: dict[str, Any] = {
        "dns": {"servers": [{"type": "local", "tag": "local"}], "final": "local"},
        "inbounds": [{"type": "tun", "tag": "tun", "address": _TUN, "auto_route": True, "strict_route": True}],
        "outbounds": outbounds,
        "route": {
            "rules": [{"action": "reject"}],
            "auto_detect_interface": True,
            "default_domain_resolver": "local",
        },
    }
    if tags:
        # Names are resolved through the tunnel, but for those of the servers.
        through = {"type": "https", "tag": "through", "server": _RESOLVER, "detour": SELECTOR}
        document["dns"]["servers"].append(through)
        document["dns"]["final"] = "through"
        document["route"]["rules"] = [{"action": "sniff"}, {"protocol": "dns", "action": "hijack-dns"}]
        document["route"]["final"] = SELECTOR
        outbounds.insert(0, {"type": "selector", "tag": SELECTOR, "outbounds": tags})
    if endpoints:
        document["endpoints"] = endpoints
    return json.dumps(document, ensure_ascii=False, indent=2)
