"""What sing-box calls the parts of a link (sing-box.sagernet.org, "outbound" and "endpoint")."""

from __future__ import annotations

from typing import Any

from vpn.links.documents.plugins import plugin_of
from vpn.links.proxy import ProxyLink
from vpn.links.schemes import Link
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.stream import Stream, ech_configs
from vpn.links.trojan import TrojanLink
from vpn.links.vless import VlessLink
from vpn.links.vmess import VmessLink
from vpn.links.wireguard import WireGuardLink

_FINGERPRINTS = ("chrome", "firefox", "edge", "safari", "360", "qq", "ios", "android", "random", "randomized")

Outbound = dict[str, Any]


def outbound_of(tag: str, link: Link) -> Outbound | None:
    """A node as an item of ``outbounds``; None: sing-box cannot use it so."""
    match link:
        case ShadowsocksLink():
            kind, fields = "shadowsocks", _shadowsocks(link)
        case ProxyLink():
            kind, fields = ("socks" if link.scheme.startswith("socks") else "http"), _proxy(link)
        case VlessLink():
            kind, fields = "vless", _vless(link)
        case TrojanLink():
            kind, fields = "trojan", _with_stream({"password": link.password}, link.stream)
        case VmessLink():
            said = {"uuid": link.id, "security": link.cipher, "alter_id": link.alter_id, "packet_encoding": "xudp"}
            kind, fields = "vmess", _with_stream(said, link.stream)
        case WireGuardLink():
            return None
    if fields is None:
        return None
    return {"type": kind, "tag": tag, "server": link.host, "server_port": link.port} | fields


def endpoint_of(tag: str, link: WireGuardLink) -> Outbound:
    """A node as an item of ``endpoints``."""
    peer = {
        "address": link.host,
        "port": link.port,
        "public_key": link.public_key,
        "pre_shared_key": link.preshared_key,
        "allowed_ips": _prefixes(link.allowed_ips),
        "persistent_keepalive_interval": link.keepalive,
    }
    fields = {
        "address": _prefixes(link.addresses),
        "private_key": link.private_key,
        "mtu": link.mtu,
        "peers": [_said(peer)],
    }
    return {"type": "wireguard", "tag": tag} | _said(fields)


def _shadowsocks(link: ShadowsocksLink) -> Outbound | None:
    fields: Outbound = {"method": link.method, "password": link.password}
    if not link.plugin:
        return fields
    plugin = plugin_of(link.plugin)
    return None if plugin is None else fields | {"plugin": plugin.name, "plugin_opts": plugin.text}


def _proxy(link: ProxyLink) -> Outbound:
    fields: Outbound = {"username": link.user, "password": link.password}
    if link.scheme.startswith("socks"):
        return {"version": "5"} | fields
    return fields | ({"tls": {"enabled": True}} if link.scheme == "https" else {})


def _vless(link: VlessLink) -> Outbound | None:
    if link.encryption != "none":
        return None
    fields = {"uuid": link.id, "packet_encoding": "xudp"}
    return _with_stream(fields | ({"flow": "xtls-rprx-vision"} if link.flow else {}), link.stream)


def _with_stream(fields: Outbound, stream: Stream) -> Outbound | None:
    if stream.network == "xhttp" or (stream.header_type == "http" and stream.security != "none"):
        return None  # it does not know the one, and would speak HTTP/2 for the other
    transport = _transport(stream)
    fields = fields | ({"transport": transport} if transport else {})
    return fields | ({"tls": _tls(stream)} if stream.security != "none" else {})


def _transport(stream: Stream) -> Outbound | None:
    match stream.network:
        case "ws":
            return {"type": "ws"} | _said({"path": stream.path, "headers": _said({"Host": stream.host})})
        case "httpupgrade":
            return {"type": "httpupgrade"} | _said({"path": stream.path, "host": stream.host})
        case "grpc":
            return {"type": "grpc"} | _said({"service_name": stream.service_name})
        case _ if stream.header_type == "http":
            hosts = [stream.host] if stream.host else []
            return {"type": "http", "method": "GET"} | _said({"path": stream.path, "host": hosts})
        case _:
            return None


def _tls(stream: Stream) -> Outbound:
    fields: Outbound = {"enabled": True}
    fields |= _said({"server_name": stream.sni, "insecure": stream.insecure, "alpn": list(stream.alpn)})
    fingerprint = stream.fingerprint.lower()
    if fingerprint not in _FINGERPRINTS:
        fingerprint = "chrome" if stream.security == "reality" else ""
    if fingerprint:
        fields["utls"] = {"enabled": True, "fingerprint": fingerprint}
    if stream.security == "reality":
        reality = {"public_key": stream.public_key, "short_id": stream.short_id}
        fields["reality"] = {"enabled": True} | _said(reality)
    if stream.ech:
        configs = ech_configs(stream)
        pem = ["-----BEGIN ECH CONFIGS-----", configs, "-----END ECH CONFIGS-----"]
        fields["ech"] = {"enabled": True} | ({"config": pem} if configs else {})
    return fields


def _prefixes(networks: tuple[str, ...]) -> list[str]:
    """With the length that an address without one has; WireGuard's own files may leave it out."""
    return [each if "/" in each else f"{each}/{128 if ':' in each else 32}" for each in networks]


def _said(fields: Outbound) -> Outbound:
    """What is said: neither nothing nor empty."""
    return {key: value for key, value in fields.items() if value}
