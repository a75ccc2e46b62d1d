"""Outline's dynamic keys: ``ssconf://host/path#name``, where the client fetches what it needs over HTTPS."""

from __future__ import annotations

import re

import msgspec

from vpn.links import uri
from vpn.links.checks import check_place, check_texts
from vpn.links.uri import Form

HTTPS = 443
_FORM = Form("dynamic key", ("ssconf",), "ssconf://HOST/PATH#NAME")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]+)?", re.ASCII)


class DynamicKey(msgspec.Struct, frozen=True):
    """Where a client learns how to connect."""

    host: str
    path: str
    """As it stands in a URL, with its query."""
    port: int = HTTPS
    name: str = ""

    def __post_init__(self) -> None:
        check_place(_FORM, self.host, self.port)
        check_texts(_FORM, name=self.name)
        if not _PATH.fullmatch(self.path):
            raise _FORM.error("its path does not begin with /, or has characters that no URL has")


def build(link: DynamicKey) -> str:
    """Write the link."""
    return f"ssconf://{_place(link)}{link.path}{uri.join_name(link.name)}"


def url(link: DynamicKey) -> str:
    """What the client fetches."""
    return f"https://{_place(link)}{link.path}"


def parse(text: str) -> DynamicKey:
    """Read a link.

    Raises:
        Invalid: it is none.
    """
    _, rest, query, name = uri.split_fragment(text, _FORM)
    place, slash, path = rest.partition("/")
    host, port = uri.split_place(place, _FORM)
    path = (slash + path or "/") + (f"?{query}" if query else "")
    return DynamicKey(host, path, HTTPS if port is None else port, name)


def _place(link: DynamicKey) -> str:
    place = uri.join_place(link.host, link.port)
    return place.removesuffix(f":{HTTPS}") if link.port == HTTPS else place
