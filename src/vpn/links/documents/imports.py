"""Links that make a client fetch a subscription."""

from __future__ import annotations

from vpn.links.uri import encode, join_name


def import_links(url: str, name: str) -> dict[str, str]:
    """For each client that knows such links, the one that adds the subscription at a URL under this name."""
    return {
        "clash": f"clash://install-config?url={encode(url)}&name={encode(name)}",
        "sing-box": f"sing-box://import-remote-profile?url={encode(url)}{join_name(name)}",
        "hiddify": f"hiddify://import/{url}{join_name(name)}",
    }
