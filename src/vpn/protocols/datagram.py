"""SOCKS5's datagrams (RFC 1928 §7): what stands before the payload between a client and its UDP relay.

RSV RSV FRAG ATYP ADDR PORT DATA

These are plain functions: a datagram comes whole, and tens of thousands come in a second.
"""

from __future__ import annotations

from socket import inet_ntoa
from struct import Struct

import msgspec

from vpn.protocols import socks_address
from vpn.protocols.errors import SocksError
from vpn.protocols.socks_address import IPV4

_START = Struct("!HBB")
_TO_IPV4 = Struct("!I4sH")


class Datagram(msgspec.Struct, frozen=True, gc=False):
    """A client's datagram. `host` is an IP address in text or a name; `payload` is where the payload begins."""

    host: str
    port: int
    payload: int


def unpack(datagram: bytes | memoryview) -> Datagram:
    """Read the header of a client's datagram.

    Raises:
        SocksError: it is malformed, to port 0, or a fragment (which a relay may drop, and this one does).
    """
    if len(datagram) >= 10:
        start, packed, port = _TO_IPV4.unpack_from(datagram)
        if start == IPV4 and port:  # RSV and FRAG are 0
            return Datagram(inet_ntoa(packed), port, 10)
    return _unpack(datagram)


def header(host: str, port: int) -> bytes:
    """What stands before the payload of an answer from there.

    Raises:
        ValueError: the name is longer than 255 bytes.
    """
    return b"\0\0\0" + socks_address.pack(host, port)


def _unpack(datagram: bytes | memoryview) -> Datagram:
    """The same for what is not sent to IPv4, or is malformed."""
    size = len(datagram)
    if size < 5:
        raise SocksError("short_datagram")
    reserved, fragment, _ = _START.unpack_from(datagram)
    if reserved:
        raise SocksError("bad_datagram")
    if fragment:
        raise SocksError("fragmented_datagram")
    host, port, end = socks_address.unpack(datagram, 3)
    return Datagram(host, port, end)
