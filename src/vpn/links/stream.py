"""How VLESS, Trojan and VMess travel: transport and security, as links say it (discussion 716 of Xray-core).

What means nothing for a transport or a security is refused when a stream is made, and left out when a link is read:
the links in circulation are full of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping

import msgspec

from vpn.links.checks import check_choice, check_texts
from vpn.links.uri import Form, listed

NETWORKS = ("tcp", "ws", "httpupgrade", "grpc", "xhttp")
SECURITIES = ("none", "tls", "reality")
_FORM = Form("VLESS, Trojan or VMess", (), "vless://UUID@HOST:PORT?security=tls&type=ws&path=%2F#NAME")
_ALIASES = {"raw": "tcp", "splithttp": "xhttp"}
_MODES = {"grpc": ("", "gun", "multi"), "xhttp": ("", "auto", "packet-up", "stream-up", "stream-one")}
_SHORT_ID = re.compile(r"([0-9a-fA-F]{2}){0,8}")
# What a field is called in a link. The order is that of writing.
_KEYS = {
    "header_type": "headerType",
    "path": "path",
    "host": "host",
    "service_name": "serviceName",
    "authority": "authority",
    "mode": "mode",
    "extra": "extra",
    "sni": "sni",
    "alpn": "alpn",
    "fingerprint": "fp",
    "ech": "ech",
    "insecure": "allowInsecure",
    "public_key": "pbk",
    "short_id": "sid",
    "spider_x": "spx",
    "verify_key": "pqv",
}
_OF_NETWORK = {
    "tcp": ("header_type",),
    "ws": ("path", "host"),
    "httpupgrade": ("path", "host"),
    "grpc": ("service_name", "authority", "mode"),
    "xhttp": ("path", "host", "mode", "extra"),
}
_OF_HEADER = ("path", "host")  # of tcp that looks like HTTP
_OF_SECURITY = {
    "none": (),
    "tls": ("sni", "alpn", "fingerprint", "ech", "insecure"),
    "reality": ("sni", "fingerprint", "public_key", "short_id", "spider_x", "verify_key"),
}


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Transport and security of a connection."""

    network: str = "tcp"
    """``tcp``, ``ws``, ``httpupgrade``, ``grpc`` or ``xhttp``."""
    security: str = "none"
    """``none``, ``tls`` or ``reality``."""
    header_type: str = "none"
    """Of tcp: ``http``, to look like it."""
    path: str = ""
    host: str = ""
    """What the Host field says."""
    service_name: str = ""
    """Of gRPC, as are authority and mode."""
    authority: str = ""
    mode: str = ""
    """Of gRPC ``gun`` or ``multi``; of XHTTP ``auto``, ``packet-up``, ``stream-up`` or ``stream-one``."""
    extra: str = ""
    """Of XHTTP: more settings, a JSON object."""
    sni: str = ""
    alpn: tuple[str, ...] = ()
    fingerprint: str = ""
    """Which browser's TLS is imitated, e.g. ``chrome``."""
    ech: str = ""
    insecure: bool = False
    """Whether any certificate will do."""
    public_key: str = ""
    """Of Reality, as are the following."""
    short_id: str = ""
    spider_x: str = ""
    verify_key: str = ""
    """ML-DSA-65, for those who fear quantum computers."""

    def __post_init__(self) -> None:
        check_choice(_FORM, "transport", self.network, NETWORKS)
        check_choice(_FORM, "security", self.security, SECURITIES)
        check_choice(_FORM, "header type", self.header_type, ("none", "http"))
        meant = fields_of(self.network, self.security, self.header_type)
        for field in msgspec.structs.fields(self):
            name = field.name
            if name in _KEYS and name not in meant and getattr(self, name) != field.default:
                raise _FORM.error(f"{name} means nothing for {self.network} with security {self.security}")
            if isinstance(getattr(self, name), str):
                check_texts(_FORM, **{name: getattr(self, name)})
        check_choice(_FORM, "mode", self.mode, _MODES.get(self.network, ("",)))
        _check_alpn(self.alpn)
        _check_extra(self.extra)
        if self.security == "reality":
            _check_reality(self)


def fields_of(network: str, security: str, header_type: str) -> tuple[str, ...]:
    """The fields that mean something."""
    header = _OF_HEADER if network == "tcp" and header_type == "http" else ()
    return (*_OF_NETWORK[network], *header, *_OF_SECURITY[security])


def to_query(stream: Stream) -> dict[str, str]:
    """The parameters of a link."""
    query = {"security": stream.security, "type": stream.network}
    for field, key in _KEYS.items():
        value = getattr(stream, field)
        if field == "alpn":
            value = ",".join(value)
        elif field == "insecure":
            value = "1" if value else ""
        elif field == "header_type" and stream.network != "tcp":
            value = ""
        if value:
            query[key] = value
    return query


def of_query(query: Mapping[str, str], security: str = "none") -> Stream:
    """The stream that parameters say; `security` is the one of links that name none.

    Raises:
        Invalid: transport or security are not known, or Reality lacks its key.
    """
    network = query.get("type") or "tcp"
    network = _ALIASES.get(network, network)
    security = query.get("security") or security
    header_type = query.get("headerType") or "none"
    check_choice(_FORM, "transport", network, NETWORKS)
    check_choice(_FORM, "security", security, SECURITIES)
    said: dict[str, object] = {"network": network, "security": security}
    for field in fields_of(network, security, header_type):
        value = query.get(_KEYS[field], "")
        if field == "alpn":
            said[field] = listed(value.split(","))
        elif field == "insecure":
            said[field] = "1" in (value, query.get("insecure")) or value == "true"
        elif field == "header_type":
            said[field] = header_type
        else:
            said[field] = value
    return msgspec.convert(said, Stream)


def ech_configs(stream: Stream) -> str:
    """What `ech` holds, if that is a list of configurations in base64; empty: it says where to ask for them."""
    try:
        raw = base64.b64decode(stream.ech, validate=True)
    except (binascii.Error, ValueError):
        return ""
    whole = len(raw) > 2 and int.from_bytes(raw[:2]) == len(raw) - 2  # an ECHConfigList begins with its length
    return stream.ech if whole else ""


def _check_alpn(alpn: tuple[str, ...]) -> None:
    for each in alpn:
        if not each or "," in each or each != each.strip():
            raise _FORM.error("a protocol of its alpn is empty, or has a comma or a space in it")
        check_texts(_FORM, alpn=each)


def _check_extra(extra: str) -> None:
    if not extra:
        return
    try:
        found = json.loads(extra)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _FORM.error("its extra is no JSON object")


def _check_reality(stream: Stream) -> None:
    key = stream.public_key
    try:
        raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32 or base64.urlsafe_b64encode(raw).decode().rstrip("=") != key:
        raise _FORM.error("its pbk is no Reality key: 32 bytes in base64 for URLs, without padding")
    if not _SHORT_ID.fullmatch(stream.short_id):
        raise _FORM.error("its sid is not up to 8 bytes in hexadecimal")
