"""IP networks, as lists of who may do something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vpn.domain.address import pack, unpack
from vpn.domain.errors import Invalid


class Network(NamedTuple):
    """The addresses of `bits` bits that begin with `prefix`; `shift` bits are free."""

    prefix: int
    shift: int
    bits: int

    def __str__(self) -> str:
        """What `parse_network` reads as the same network."""
        return f"{unpack((self.prefix << self.shift).to_bytes(self.bits // 8, 'big'))}/{self.bits - self.shift}"

    def holds(self, packed: bytes) -> bool:
        """Whether these 4 or 16 address bytes lie within."""
        return len(packed) * 8 == self.bits and int.from_bytes(packed, "big") >> self.shift == self.prefix


def parse_network(text: str) -> Network:
    """Parse ``10.0.0.0/8``, ``fd00::/8`` or a single address.

    Raises:
        Invalid: the text is none of these, or has bits set behind its prefix.
    """
    address, slash, length = text.partition("/")
    packed = pack(address)
    if packed is None or (slash and not (length.isascii() and length.isdigit() and len(length) <= 3)):
        raise _bad(text, "write it as 10.0.0.0/8, fd00::/8 or 192.0.2.1")
    bits = len(packed) * 8
    shift = bits - int(length) if slash else 0
    number = int.from_bytes(packed, "big")
    if shift < 0:
        raise _bad(text, f"the part behind the slash is at most {bits}")
    if number >> shift << shift != number:
        raise _bad(text, f"the last {shift} bits must be zero, as they may take any value")
    return Network(number >> shift, shift, bits)


def _bad(text: str, hint: str) -> Invalid:
    return Invalid("bad_network", f"{text!r} is not a network", hint)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse several.

    Raises:
        Invalid: one of them is none.
    """
    return tuple(parse_network(text) for text in texts)


def any_holds(networks: Iterable[Network], packed: bytes) -> bool:
    """Whether an address lies within one of them."""
    return any(network.holds(packed) for network in networks)
