"""All kinds of links: which module reads and writes which."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vpn.domain.errors import Invalid
from vpn.links import dynamic_key, proxy, shadowsocks, trojan, vless, vmess, wireguard
from vpn.links.dynamic_key import DynamicKey
from vpn.links.proxy import ProxyLink
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.trojan import TrojanLink
from vpn.links.vless import VlessLink
from vpn.links.vmess import VmessLink
from vpn.links.wireguard import WireGuardLink

Link: TypeAlias = ShadowsocksLink | ProxyLink | VlessLink | TrojanLink | VmessLink | WireGuardLink
"""What leads to one server."""
KINDS = {
    ShadowsocksLink: "shadowsocks",
    ProxyLink: "proxy",
    VlessLink: "vless",
    TrojanLink: "trojan",
    VmessLink: "vmess",
    WireGuardLink: "wireguard",
    DynamicKey: "dynamic-key",
}
_PARSERS: dict[str, Callable[[str], Link | DynamicKey]] = {
    "ss": shadowsocks.parse,
    "vless": vless.parse,
    "trojan": trojan.parse,
    "vmess": vmess.parse,
    "wireguard": wireguard.parse,
    "wg": wireguard.parse,
    "ssconf": dynamic_key.parse,
    **dict.fromkeys((*proxy.SCHEMES, proxy.SHARED), proxy.parse),
}


def build(link: Link | DynamicKey) -> str:
    """Write a link of any kind."""
    match link:
        case ShadowsocksLink():
            return shadowsocks.build(link)
        case ProxyLink():
            return proxy.build(link)
        case VlessLink():
            return vless.build(link)
        case TrojanLink():
            return trojan.build(link)
        case VmessLink():
            return vmess.build(link)
        case WireGuardLink():
            return wireguard.build(link)
        case DynamicKey():
            return dynamic_key.build(link)


def parse(text: str) -> Link | DynamicKey:
    """Read a link of any kind, or the text of a WireGuard configuration.

    Raises:
        Invalid: it is none, or something about it is wrong. What it holds is not repeated.
    """
    text = text.strip()
    if text[:11].lower() == "[interface]":
        return wireguard.parse_conf(text)
    scheme, found, _ = text.partition("://")
    parser = _PARSERS.get(scheme.lower()) if found else None
    if parser is None:
        why = "it begins with no scheme that is known" if found else "it does not begin with a scheme, as ss://"
        raise Invalid("bad_link", f"this is no link: {why}", f"there are: {', '.join(_PARSERS)}")
    return parser(text)
