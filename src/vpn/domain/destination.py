"""Patterns of destinations.

    192.0.2.1, 2001:db8::1     this address
    10.0.0.0/8, fd00::/8       the addresses of a network
    example.com                this name
    *.example.com              names with exactly one label more
    **.example.com             names with one label more, or several
    .example.com               the name itself, and all below it
    *                          everything

Each may be followed by a port, or a range of ports: ``.example.com:443``, ``[2001:db8::1]:8000-8999``.
Names are compared without regard to case or a final dot.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vpn.domain.errors import Invalid
from vpn.domain.network import Network, parse_network

_LABELS = r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*\.?"
_PATTERN = re.compile(rf"(?P<kind>\*\*\.|\*\.|\.|)(?P<name>{_LABELS})")
_PORTS = re.compile(r"(?P<host>.*):(?P<first>\d{1,5})(-(?P<last>\d{1,5}))?")


class DestinationPattern(NamedTuple):
    """One pattern: either a network, or a kind of match (``""``, ``*.``, ``**.``, ``.``) on a name."""

    network: Network | None
    kind: str
    name: str
    first_port: int
    last_port: int

    def matches(self, host: str, packed: bytes | None, port: int) -> bool:
        """Whether a destination is meant: a name, in lower case, or an address (`packed`, and `host` in text)."""
        if not self.first_port <= port <= self.last_port:
            return False
        if self.network is not None:
            return packed is not None and self.network.holds(packed)
        return self.kind == "*" or (packed is None and self._matches_name(host.removesuffix(".")))

    def _matches_name(self, host: str) -> bool:
        if host == self.name:
            return self.kind in ("", ".")
        below = host.removesuffix("." + self.name)
        if below == host or not self.kind:
            return False
        return self.kind != "*." or "." not in below


def parse_destination(text: str) -> DestinationPattern:
    """Parse one pattern.

    Raises:
        Invalid: it is none.
    """
    host, first, last = text.strip(), 0, 65535
    found = _PORTS.fullmatch(host)
    if found is not None and (":" not in found["host"] or found["host"].endswith("]")):
        host = found["host"]
        first = int(found["first"])
        last = int(found["last"] or first)
        if not first <= last <= 65535:
            raise _bad(text, "ports go from 0 to 65535, the lower one first")
    if host == "*":
        return DestinationPattern(None, "*", "", first, last)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if ":" in host or "/" in host or re.fullmatch(r"[\d.]+", host):
        try:
            return DestinationPattern(parse_network(host), "", "", first, last)
        except Invalid as error:
            raise _bad(text, error.hint) from None
    named = _PATTERN.fullmatch(host)
    if named is None or len(host) > 255:
        raise _bad(text, "write it as example.com, *.example.com, .example.com, 10.0.0.0/8 or *, and :port if need be")
    return DestinationPattern(None, named["kind"], named["name"].lower().removesuffix("."), first, last)


def _bad(text: str, hint: str) -> Invalid:
    return Invalid("bad_destination", f"{text!r} is no pattern of destinations", hint)
