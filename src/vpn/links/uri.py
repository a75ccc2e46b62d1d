"""URIs as links are written: ``scheme://userinfo@host:port/?key=value#name`` (RFC 3986), everything percent-encoded.

`urllib.parse` is not asked to take them apart: it changes the case of hosts, takes ``+`` for a space, and lets a key
stand twice.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from vpn.domain.errors import Invalid

LONGEST = 8192
"""Characters of a link that is read."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,32}")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


class Form(NamedTuple):
    """A kind of link: how it is called, begins, and looks."""

    title: str
    schemes: tuple[str, ...]
    example: str

    def error(self, why: str) -> Invalid:
        """What is wrong with a link of this kind; `why` holds nothing secret."""
        return Invalid("bad_link", f"this is no {self.title} link: {why}", f"write it as {self.example}")


class URI(NamedTuple):
    """A link taken apart. `userinfo` is as it stands there, everything else is decoded."""

    scheme: str
    userinfo: str
    """Empty where there is none."""
    host: str
    """Without brackets; empty where there is none."""
    port: int | None
    query: dict[str, str]
    name: str


def split(text: str, form: Form) -> URI:
    """Take a link apart.

    Raises:
        Invalid: it is none of this form.
    """
    scheme, rest, query, name = split_fragment(text, form)
    # Base64 with a slash stands unencoded before the @ in some links.
    userinfo, _, place = rest.rpartition("@")
    place, _, _path = place.partition("/")
    host, port = split_place(place, form)
    return URI(scheme, userinfo, host, port, split_query(query, form), name)


def split_fragment(text: str, form: Form) -> tuple[str, str, str, str]:
    """The scheme of a link, what comes before ``?``, the query, and the name after ``#``.

    Raises:
        Invalid: it has another scheme, is too long, or has spaces in the wrong place.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise form.error(f"it is longer than {LONGEST} characters")
    scheme, found, rest = text.partition("://")
    if not found or scheme.lower() not in form.schemes:
        raise form.error(f"it does not begin with {' or '.join(f'{each}://' for each in form.schemes)}")
    rest, _, fragment = rest.partition("#")
    if any(character.isspace() or not character.isprintable() for character in rest):
        raise form.error("there is a space or a control character in it")
    rest, _, query = rest.partition("?")
    return scheme.lower(), rest, query, decode(fragment, form, "name")


def split_place(place: str, form: Form) -> tuple[str, int | None]:
    """Host and port of ``host:port``, ``[::1]:port``, or the same without a port.

    Raises:
        Invalid: the brackets or the port are wrong.
    """
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise form.error("the brackets of its address are wrong")
        port = rest[1:]
    else:
        host, _, port = place.partition(":")
        if ":" in port:
            raise form.error("an IPv6 address stands in brackets, and before the port is one colon")
    if not port:
        return host, None
    if not _PORT.fullmatch(port):
        raise form.error("its port is no number")
    return host, int(port)


def split_query(query: str, form: Form) -> dict[str, str]:
    """The parameters of a query, decoded; a ``+`` is a plus.

    Raises:
        Invalid: a key stands there twice, or something is not UTF-8.
    """
    found: dict[str, str] = {}
    for piece in query.split("&"):
        key, _, value = piece.partition("=")
        key = decode(key, form, "query")
        if key in found:
            raise form.error(f"it says {key} twice" if _KEY.fullmatch(key) else "it says something twice")
        if key:
            found[key] = decode(value, form, "query")
    return found


def join(scheme: str, userinfo: str, place: tuple[str, int], query: Mapping[str, str], name: str) -> str:
    """Put a link together; `userinfo` is written as it is, the rest percent-encoded."""
    return f"{scheme}://{userinfo}@{join_place(*place)}{join_query(query)}{join_name(name)}"


def join_place(host: str, port: int) -> str:
    """``host:port``; an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def join_query(query: Mapping[str, str]) -> str:
    """``?key=value&…``, or nothing."""
    return "?" + "&".join(f"{key}={encode(value)}" for key, value in query.items()) if query else ""


def join_name(name: str) -> str:
    """``#name``, or nothing."""
    return f"#{encode(name)}" if name else ""


def encode(text: str) -> str:
    """Percent-encode everything but letters, digits and ``-._~``; a space is ``%20``."""
    return quote(text, safe="")


def decode(text: str, form: Form, what: str) -> str:
    """Undo percent-encoding.

    Raises:
        Invalid: it is not UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise form.error(f"its {what} is not UTF-8") from None


def encode_base64(text: str) -> str:
    """Base64 for URLs, without padding (RFC 4648, 5)."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_base64(text: str) -> str | None:
    """Text from base64 of either alphabet, padded or not; None: it is none."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def listed(values: Iterable[str]) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(found for value in values if (found := value.strip()))
