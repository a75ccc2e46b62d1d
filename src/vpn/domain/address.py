"""Addresses: where to listen, where to connect, and where nobody is let through by default."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from vpn.domain.errors import Invalid


class Endpoint(NamedTuple):
    """A host (an IP address in text, without brackets, or a name) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Parse ``127.0.0.1:1080``, ``[::1]:1080`` or ``localhost:1080``.

    Raises:
        Invalid: the text is none of these, or the port is not within 0 to 65535 (0: any free port).
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise Invalid(
            "bad_endpoint",
            f"{text!r} is not an address and port",
            "write it as 127.0.0.1:1080, [::1]:1080 or localhost:1080",
        )
    return Endpoint(host, int(port))


def pack(host: str) -> bytes | None:
    """The 4 or 16 bytes of an IP address in text; None for anything else, which is then a name."""
    try:
        return inet_pton(AF_INET6, host) if ":" in host else inet_pton(AF_INET, host)
    except (OSError, ValueError):  # ValueError: a NUL inside
        return None


def unpack(packed: bytes) -> str:
    """The text of 4 or 16 address bytes."""
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


class _Range(NamedTuple):
    prefix: int
    bits: int
    kind: str


def _ranges(*rows: tuple[str, str]) -> tuple[_Range, ...]:
    made = []
    for network, kind in rows:
        address, _, length = network.partition("/")
        packed = pack(address)
        assert packed is not None
        shift = len(packed) * 8 - int(length)
        made.append(_Range(int.from_bytes(packed, "big") >> shift, shift, kind))
    return tuple(made)


# The IANA special-purpose registries (RFC 6890 and its updates), as far as they are not globally reachable.
_V4 = _ranges(
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "private"),  # carrier-grade NAT, RFC 6598
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),  # cloud metadata services live here
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "private"),
    ("192.0.2.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "private"),  # benchmarking inside a network, RFC 2544
    ("198.51.100.0/24", "reserved"),
    ("203.0.113.0/24", "reserved"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
_V6 = _ranges(
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("100::/64", "reserved"),
    ("2001::/23", "reserved"),  # protocol assignments: Teredo, ORCHID and others, none a place to connect to
    ("2001:db8::/32", "reserved"),
    ("3fff::/20", "reserved"),
    ("5f00::/16", "reserved"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),  # site-local, deprecated and still routed by some
    ("ff00::/8", "multicast"),
    ("64:ff9b:1::/48", "private"),  # NAT64 inside a network, RFC 8215
)
# IPv6 ranges that carry an IPv4 address, which is then what is judged: prefix, and where the IPv4 bytes start.
_CARRIERS = (
    (bytes(10) + b"\xff\xff", 12),  # IPv4-mapped
    (bytes(12), 12),  # IPv4-compatible, deprecated
    (b"\x00\x64\xff\x9b" + bytes(8), 12),  # NAT64, RFC 6052
    (bytes(8) + b"\xff\xff\x00\x00", 12),  # IPv4-translated, RFC 2765
    (b"\x20\x02", 2),  # 6to4
)
_V4_FIRST_BYTES = frozenset([0, 10, 100, 127, 169, 172, 192, 198, 203, *range(224, 256)])


def special_kind(packed: bytes) -> str | None:
    """What makes an address no public destination, e.g. ``loopback``; None for a public one.

    Addresses that carry an IPv4 address inside are judged by that one too, so that ``::ffff:127.0.0.1``
    is no way round.
    """
    if len(packed) == 4:
        if packed[0] not in _V4_FIRST_BYTES:
            return None
        return _match(packed, _V4)
    kind = _match(packed, _V6)
    if kind is None:
        for prefix, start in _CARRIERS:
            if packed.startswith(prefix):
                return _match(packed[start : start + 4], _V4)
    return kind


def _match(packed: bytes, ranges: tuple[_Range, ...]) -> str | None:
    number = int.from_bytes(packed, "big")
    for prefix, shift, kind in ranges:
        if number >> shift == prefix:
            return kind
    return None
