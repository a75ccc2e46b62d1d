"""Patterns of destinations.

    192.0.2.1, 2001:db8::1     this address
    10.0.0.0/8, fd00::/8       the addresses of a network
    example.com                this name
    *.example.com              names with exactly one label more; *.*.example.com: with two, and so on
    **.example.com             names with one label more, or several
    .example.com               the name itself, and all below it
    *                          everything
    country:DE                 the addresses of a country (ISO 3166-1), where countries can be told

Each may be followed by a port, or a range of ports: ``.example.com:443``, ``[2001:db8::1]:8000-8999``.
Names are compared without regard to case or a final dot, and in the form that DNS knows them by: ``bücher.example``
is ``xn--bcher-kva.example``.
"""

from __future__ import annotations

import contextlib
import re
from typing import NamedTuple

from vpn.domain.errors import Invalid
from vpn.domain.network import Network, parse_network

_LABELS = r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*\.?"
_KIND = re.compile(r"\*\*\.|(\*\.)+|\.|")
_NAME = re.compile(_LABELS)
_PORTS = re.compile(r"(?P<host>.*):(?P<first>[0-9]{1,5})(-(?P<last>[0-9]{1,5}))?")
_ADDRESS = re.compile(r"[0-9.]+")
COUNTRY = "country:"


class DestinationPattern(NamedTuple):
    """One pattern: a network, or a kind of match on a name (``""``, ``*.``, ``*.*.``, ``**.``, ``.``), or a country."""

    network: Network | None
    kind: str
    name: str
    first_port: int
    last_port: int

    def matches(self, host: str, packed: bytes | None, port: int) -> bool:
        """Whether a destination is meant: a name, in lower case, or an address (`packed`, and `host` in text).

        Countries cannot be told here: they match nothing.
        """
        if not self.first_port <= port <= self.last_port:
            return False
        if self.network is not None:
            return packed is not None and self.network.holds(packed)
        return self.kind == "*" or (packed is None and self._matches_name(host.removesuffix(".")))

    def _matches_name(self, host: str) -> bool:
        if host == self.name:
            return self.kind in ("", ".")
        below = host.removesuffix("." + self.name)
        if below == host or self.kind in ("", COUNTRY):
            return False
        return self.kind in (".", "**.") or below.count(".") + 1 == self.labels

    @property
    def labels(self) -> int:
        """How many labels more a name has, where the kind counts them (``*.``, ``*.*.``)."""
        return len(self.kind) // 2


def normal_name(host: str) -> str:
    """A name in the form in which names are compared."""
    if not host.isascii():
        with contextlib.suppress(UnicodeError):  # no name that DNS knows: it is nothing but itself
            host = host.encode("idna").decode()
    return host.lower().removesuffix(".")


def parse_destination(text: str, *, countries: bool = False) -> DestinationPattern:
    """Parse one pattern.

    Args:
        text: the pattern.
        countries: whether ``country:DE`` is one.

    Raises:
        Invalid: it is none.
    """
    host, first, last = text.strip(), 0, 65535
    found = _PORTS.fullmatch(host)
    if found is not None and (":" not in found["host"].removeprefix(COUNTRY) or found["host"].endswith("]")):
        host = found["host"]
        first = int(found["first"])
        last = int(found["last"] or first)
        if not first <= last <= 65535:
            raise _bad(text, "ports go from 0 to 65535, the lower one first")
    if host == "*":
        return DestinationPattern(None, "*", "", first, last)
    if countries and host.startswith(COUNTRY):
        return DestinationPattern(None, COUNTRY, _country(text, host), first, last)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if ":" in host or "/" in host or _ADDRESS.fullmatch(host):
        try:
            return DestinationPattern(parse_network(host), "", "", first, last)
        except Invalid as error:
            raise _bad(text, error.hint) from None
    kind = _KIND.match(host)
    assert kind is not None  # it may be empty
    name = normal_name(host[kind.end() :])
    if _NAME.fullmatch(name) is None or len(name) > 255:
        raise _bad(text, "write it as example.com, *.example.com, .example.com, 10.0.0.0/8 or *, and :port if need be")
    return DestinationPattern(None, kind[0], name, first, last)


def _country(text: str, host: str) -> str:
    code = host.removeprefix(COUNTRY).upper()
    if not (len(code) == 2 and code.isascii() and code.isalpha()):
        raise _bad(text, "a country has a code of two letters, as in country:DE")
    return code


def _bad(text: str, hint: str) -> Invalid:
    return Invalid("bad_destination", f"{text!r} is no pattern of destinations", hint)
