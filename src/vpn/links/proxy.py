"""Proxy URLs as curl and most other clients take them: ``scheme://user:password@host:port#name``.

``socks5h`` lets the proxy resolve names, ``socks5`` resolves them at the client, ``http`` is an HTTP proxy,
``https`` one in TLS. Clients on phones share SOCKS as ``socks://BASE64(user:password)@host:port#name``.
"""

from __future__ import annotations

import msgspec

from vpn.links import uri
from vpn.links.checks import check_choice, check_place, check_port, check_texts
from vpn.links.uri import Form

SCHEMES = ("socks5h", "socks5", "http", "https")
SHARED = "socks"
_FORM = Form("proxy", (*SCHEMES, SHARED), "socks5h://USER:PASSWORD@HOST:PORT")


class ProxyLink(msgspec.Struct, frozen=True):
    """A proxy and the credentials for it."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    name: str = ""

    def __post_init__(self) -> None:
        check_choice(_FORM, "scheme", self.scheme, SCHEMES)
        check_place(_FORM, self.host, self.port)
        check_texts(_FORM, user=self.user, password=self.password, name=self.name)


def build(link: ProxyLink) -> str:
    """Write the URL; user and password are percent-encoded, an IPv6 host is bracketed."""
    userinfo = f"{uri.encode(link.user)}:{uri.encode(link.password)}"
    return uri.join(link.scheme, userinfo, (link.host, link.port), {}, link.name)


def is_shared(link: ProxyLink) -> bool:
    """Whether clients on phones can share it: it is SOCKS, and the user's name has no colon."""
    return link.scheme.startswith("socks") and ":" not in link.user


def build_shared(link: ProxyLink) -> str:
    """Write it as clients on phones share SOCKS.

    Raises:
        Invalid: it is not SOCKS, or the user has a colon in the name.
    """
    if not is_shared(link):
        raise _FORM.error("only SOCKS is shared in this form, and no user with a colon in the name")
    userinfo = uri.encode_base64(f"{link.user}:{link.password}")
    return uri.join(SHARED, userinfo, (link.host, link.port), {}, link.name)


def parse(text: str) -> ProxyLink:
    """Read a URL of either form; the shared one is read as ``socks5``.

    Raises:
        Invalid: it is not such a URL.
    """
    parts = uri.split(text, _FORM)
    if parts.scheme == SHARED:
        user, password = _shared_credentials(parts.userinfo)
        return ProxyLink("socks5", parts.host, check_port(_FORM, parts.port), user, password, parts.name)
    user, colon, password = parts.userinfo.partition(":")
    if not colon:
        raise _FORM.error("it lacks a user or a password")
    return ProxyLink(
        parts.scheme,
        parts.host,
        check_port(_FORM, parts.port),
        uri.decode(user, _FORM, "user"),
        uri.decode(password, _FORM, "password"),
        parts.name,
    )


def _shared_credentials(userinfo: str) -> tuple[str, str]:
    plain = uri.decode(userinfo, _FORM, "user")
    if ":" not in plain:
        plain = uri.decode_base64(plain) or ""
    user, colon, password = plain.partition(":")
    if not colon:
        raise _FORM.error("what stands before the @ does not hold USER:PASSWORD")
    return user, password
