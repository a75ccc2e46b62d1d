"""VLESS links: ``vless://UUID@host:port?encryption=none&security=…&type=…&flow=…#name``."""

from __future__ import annotations

import msgspec

from vpn.links import stream, uri
from vpn.links.checks import check_choice, check_place, check_port, check_texts, check_uuid
from vpn.links.stream import Stream
from vpn.links.uri import Form

FLOWS = ("", "xtls-rprx-vision", "xtls-rprx-vision-udp443")
_FORM = Form("VLESS", ("vless",), "vless://UUID@HOST:PORT?encryption=none&security=tls&type=tcp#NAME")


class VlessLink(msgspec.Struct, frozen=True):
    """A VLESS server and what it takes to use it."""

    id: str
    """A UUID."""
    host: str
    port: int
    stream: Stream = Stream()
    flow: str = ""
    encryption: str = "none"
    """``none``, or what Xray's post-quantum encryption wants."""
    name: str = ""

    def __post_init__(self) -> None:
        check_uuid(_FORM, self.id)
        check_place(_FORM, self.host, self.port)
        check_choice(_FORM, "flow", self.flow, FLOWS)
        check_texts(_FORM, encryption=self.encryption, name=self.name)
        if not self.encryption:
            raise _FORM.error("its encryption is empty; without any it is none")


def build(link: VlessLink) -> str:
    """Write the link."""
    query = {"encryption": link.encryption} | stream.to_query(link.stream)
    if link.flow:
        query["flow"] = link.flow
    return uri.join("vless", link.id, (link.host, link.port), query, link.name)


def parse(text: str) -> VlessLink:
    """Read a link; parameters that are not known, or mean nothing here, are left out.

    Raises:
        Invalid: it is none.
    """
    parts = uri.split(text, _FORM)
    return VlessLink(
        uri.decode(parts.userinfo, _FORM, "id"),
        parts.host,
        check_port(_FORM, parts.port),
        stream.of_query(parts.query),
        flow=parts.query.get("flow", ""),
        encryption=parts.query.get("encryption") or "none",
        name=parts.name,
    )
