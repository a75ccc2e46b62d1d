"""Which formats there are, and which client wants which."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vpn.domain.errors import Invalid
from vpn.links.documents import clash, lists, outline, sing_box
from vpn.links.documents.nodes import Node
from vpn.links.documents.profile import Usage

Write = Callable[[Sequence[Node], Usage | None], str]
HTML = "html"
"""The page for browsers, which is none of the documents."""
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


class Format(NamedTuple):
    """A kind of document."""

    name: str
    content_type: str
    extension: str
    write: Write


FORMATS = {
    each.name: each
    for each in (
        Format("base64", _TEXT, "txt", lists.write_base64),
        Format("plain", _TEXT, "txt", lists.write_plain),
        Format("clash", "text/yaml; charset=utf-8", "yaml", clash.write),
        Format("sing-box", _JSON, "json", sing_box.write),
        Format("sip008", _JSON, "json", lists.write_sip008),
        Format("outline", _JSON, "json", outline.write_json),
        Format("wireguard", _TEXT, "conf", lists.write_wireguard),
    )
}
_ALIASES = {"singbox": "sing-box", "mihomo": "clash", "clash-meta": "clash", "links": "plain", "v2ray": "base64"}
# The first row that matches decides. Hiddify and Karing say that they are like others, NekoBox says what it prefers.
_CLIENTS = (
    (r"^(hiddify|karing)", "sing-box"),
    (r"clash|mihomo|^stash|^nyanpasu", "clash"),
    (r"^sf[aimt]/|sing-?box", "sing-box"),
    (r"^outline|^go-http-client", "outline"),  # Outline says only which library it fetches with
    (r"^shadowsocks", "sip008"),
    (r"v2ray|v2box|^shadowrocket|^streisand|^neko|^happ|^foxray|^quantumult|^surge|^loon|^surfboard|^throne", "base64"),
)
_CLIENT = tuple((re.compile(pattern, re.IGNORECASE), name) for pattern, name in _CLIENTS)
_REFUSED = re.compile(r"q=0(\.0*)?")


def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        Invalid: there is none.
    """
    found = FORMATS.get(_ALIASES.get(name.lower(), name.lower()))
    if found is None:
        raise Invalid("bad_format", "there is no such format of a subscription", f"there are: {', '.join(FORMATS)}")
    return found


def format_for(user_agent: str, accept: str) -> str:
    """The name of the format that a client wants, by its User-Agent and Accept headers; `HTML` for a browser."""
    for pattern, name in _CLIENT:
        if pattern.search(user_agent.strip()[:500]):
            return name
    return HTML if _accepts_html(accept[:2000]) else "base64"


def _accepts_html(accept: str) -> bool:
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind == "text/html":
            return not any(_REFUSED.fullmatch(parameter) for parameter in parameters)
    return False
