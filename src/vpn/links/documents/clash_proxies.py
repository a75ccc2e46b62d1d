"""What mihomo calls the parts of a link (wiki.metacubex.one, "proxies")."""

from __future__ import annotations

from typing import Any

from vpn.links.documents.nodes import Node
from vpn.links.documents.plugins import plugin_of
from vpn.links.proxy import ProxyLink
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.stream import Stream, ech_configs
from vpn.links.trojan import TrojanLink
from vpn.links.vless import VlessLink
from vpn.links.vmess import VmessLink
from vpn.links.wireguard import WireGuardLink

_FINGERPRINTS = ("chrome", "firefox", "safari", "ios", "android", "edge", "360", "qq", "random")

Proxy = dict[str, Any]


def proxy_of(node: Node) -> Proxy | None:
    """A node as an item of ``proxies``; None: mihomo cannot use it."""
    link = node.link
    match link:
        case ShadowsocksLink():
            kind, fields = "ss", _shadowsocks(link)
        case ProxyLink():
            kind, fields = ("socks5" if link.scheme.startswith("socks") else "http"), _proxy(link)
        case VlessLink():
            kind, fields = "vless", _vless(link)
        case TrojanLink():
            kind, fields = "trojan", _trojan(link)
        case VmessLink():
            kind, fields = "vmess", _vmess(link)
        case WireGuardLink():
            kind, fields = "wireguard", _wireguard(link)
    if fields is None:
        return None
    return {"name": node.name, "type": kind, "server": link.host, "port": link.port} | fields


def _shadowsocks(link: ShadowsocksLink) -> Proxy | None:
    fields: Proxy = {"cipher": link.method, "password": link.password, "udp": True}
    if not link.plugin:
        return fields
    plugin = plugin_of(link.plugin)
    if plugin is None:
        return None
    said = plugin.options
    if plugin.name == "obfs-local":
        options = {"mode": said["obfs"], "host": said.get("obfs-host", "")}
        return fields | {"plugin": "obfs", "plugin-opts": _said(options)}
    options = {"mode": "websocket", "host": said.get("host", ""), "path": said.get("path", "")}
    return fields | {"plugin": "v2ray-plugin", "plugin-opts": _said(options) | {"tls": "tls" in said}}


def _proxy(link: ProxyLink) -> Proxy:
    fields: Proxy = {"username": link.user, "password": link.password}
    if link.scheme.startswith("socks"):
        return fields | {"udp": True}
    return fields | ({"tls": True} if link.scheme == "https" else {})


def _vless(link: VlessLink) -> Proxy | None:
    if link.stream.extra:
        return None  # it is in Xray's words
    fields: Proxy = {"uuid": link.id, "udp": True, "packet-encoding": "xudp"}
    if link.flow:
        fields["flow"] = "xtls-rprx-vision"  # mihomo's does what Xray's …-udp443 does
    if link.encryption != "none":
        fields["encryption"] = link.encryption
    return fields | _transport(link.stream) | _security(link.stream, "servername")


def _trojan(link: TrojanLink) -> Proxy | None:
    stream = link.stream
    plain_tcp = stream.network == "tcp" and stream.header_type == "none"
    if stream.security == "none" or not (plain_tcp or stream.network in ("ws", "httpupgrade", "grpc")):
        return None
    security = _security(stream, "sni")
    del security["tls"]  # a matter of course
    return {"password": link.password, "udp": True} | _transport(stream) | security


def _vmess(link: VmessLink) -> Proxy | None:
    if link.stream.network == "xhttp":
        return None
    fields: Proxy = {"uuid": link.id, "alterId": link.alter_id, "cipher": link.cipher, "udp": True}
    return fields | _transport(link.stream) | _security(link.stream, "servername")


def _wireguard(link: WireGuardLink) -> Proxy:
    fields: Proxy = {"private-key": link.private_key, "public-key": link.public_key}
    fields |= {"allowed-ips": list(link.allowed_ips), "udp": True}
    for key, wanted in (("ip", False), ("ipv6", True)):
        address = next((each for each in link.addresses if (":" in each) == wanted), "")
        if address:
            fields[key] = address
    numbers = {"pre-shared-key": link.preshared_key, "mtu": link.mtu, "persistent-keepalive": link.keepalive}
    if link.dns:
        numbers |= {"remote-dns-resolve": True, "dns": list(link.dns)}
    return fields | _said(numbers)


def _transport(stream: Stream) -> Proxy:
    match stream.network:
        case "ws" | "httpupgrade":
            options: Proxy = _said({"path": stream.path, "headers": _said({"Host": stream.host})})
            if stream.network == "httpupgrade":
                options["v2ray-http-upgrade"] = True
            return {"network": "ws", "ws-opts": options}
        case "grpc":
            return {"network": "grpc", "grpc-opts": {"grpc-service-name": stream.service_name}}
        case "xhttp":
            mode = "" if stream.mode == "auto" else stream.mode
            return {
                "network": "xhttp",
                "xhttp-opts": _said({"path": stream.path, "host": stream.host, "mode": mode}),
            }
        case _ if stream.header_type == "http":
            options = {"path": [stream.path or "/"]} | ({"headers": {"Host": [stream.host]}} if stream.host else {})
            return {"network": "http", "http-opts": options}
        case _:
            return {"network": "tcp"}


def _security(stream: Stream, name_key: str) -> Proxy:
    fields: Proxy = {"tls": stream.security != "none"}
    known = "random" if stream.fingerprint == "randomized" else stream.fingerprint.lower()
    fields |= _said({name_key: stream.sni, "alpn": list(stream.alpn), "skip-cert-verify": stream.insecure})
    if known in _FINGERPRINTS:
        fields["client-fingerprint"] = known
    if stream.security == "reality":
        fields.setdefault("client-fingerprint", "chrome")  # Reality is nothing without one
        fields["reality-opts"] = _said({"public-key": stream.public_key, "short-id": stream.short_id})
    if stream.ech:
        fields["ech-opts"] = {"enable": True} | _said({"config": ech_configs(stream)})
    return fields


def _said(fields: Proxy) -> Proxy:
    """What is said: neither nothing nor empty."""
    return {key: value for key, value in fields.items() if value}
