"""Proxy URLs as curl and most other clients take them: ``scheme://user:password@host:port``.

``socks5h`` lets the proxy resolve names, ``socks5`` resolves them at the client, ``http`` is an HTTP proxy,
``https`` one in TLS.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import msgspec

from vpn.domain.errors import Invalid

SCHEMES = ("socks5h", "socks5", "http", "https")


class ProxyLink(msgspec.Struct, frozen=True):
    """A proxy and the credentials for it."""

    scheme: str
    host: str
    port: int
    user: str
    password: str


def build(link: ProxyLink) -> str:
    """Write the URL; user and password are percent-encoded, an IPv6 host is bracketed."""
    host = f"[{link.host}]" if ":" in link.host else link.host
    return f"{link.scheme}://{quote(link.user, safe='')}:{quote(link.password, safe='')}@{host}:{link.port}"


def parse(url: str) -> ProxyLink:
    """Read a URL that `build` wrote.

    Raises:
        Invalid: it is not such a URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad(str(error)) from None
    if parts.scheme not in SCHEMES:
        raise _bad(f"its scheme is none of {', '.join(SCHEMES)}")
    if not parts.hostname or port is None or parts.username is None or parts.password is None:
        raise _bad("it lacks a user, a password, a host or a port")
    return ProxyLink(parts.scheme, parts.hostname, port, unquote(parts.username), unquote(parts.password))


def _bad(why: str) -> Invalid:
    # The URL may hold a password: it is not repeated in the message.
    return Invalid("bad_link", f"this is not a proxy URL: {why}", "write it as socks5h://user:password@host:port")
