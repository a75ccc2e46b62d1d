"""Trojan links: ``trojan://PASSWORD@host:port?security=tls&type=…#name``; without a word on security it is TLS."""

from __future__ import annotations

import msgspec

from vpn.links import stream, uri
from vpn.links.checks import check_place, check_port, check_texts
from vpn.links.stream import Stream
from vpn.links.uri import Form

_FORM = Form("Trojan", ("trojan",), "trojan://PASSWORD@HOST:PORT?security=tls&type=tcp#NAME")


class TrojanLink(msgspec.Struct, frozen=True):
    """A Trojan server and what it takes to use it."""

    password: str
    host: str
    port: int
    stream: Stream = Stream(security="tls")
    name: str = ""

    def __post_init__(self) -> None:
        check_place(_FORM, self.host, self.port)
        check_texts(_FORM, password=self.password, name=self.name)
        if not self.password:
            raise _FORM.error("its password is missing")


def build(link: TrojanLink) -> str:
    """Write the link."""
    place = (link.host, link.port)
    return uri.join("trojan", uri.encode(link.password), place, stream.to_query(link.stream), link.name)


def parse(text: str) -> TrojanLink:
    """Read a link; parameters that are not known, or mean nothing here, are left out.

    Raises:
        Invalid: it is none.
    """
    parts = uri.split(text, _FORM)
    query = dict(parts.query)
    if query.get("peer"):  # what sni was called once
        query.setdefault("sni", query["peer"])
    return TrojanLink(
        uri.decode(parts.userinfo, _FORM, "password"),
        parts.host,
        check_port(_FORM, parts.port),
        stream.of_query(query, security="tls"),
        parts.name,
    )
