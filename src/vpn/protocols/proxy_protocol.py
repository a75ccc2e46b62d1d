"""The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): a load balancer says who its client is.

version 1   PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080 CRLF
version 2   SIGNATURE  VERSION+COMMAND  FAMILY+TRANSPORT  LENGTH  ADDRESSES  TLVs

It stands before anything else on the connection, is answered by nothing, and is believed only from addresses
that are trusted: whoever calls this has looked.
"""

from __future__ import annotations

import re
from collections.abc import Generator

from vpn.domain.address import Endpoint, pack, unpack
from vpn.protocols.errors import ProtocolError
from vpn.protocols.reader import LimitExceeded, Reader

LINE_LIMIT = 107  # bytes of version 1, CRLF included
BLOCK_LIMIT = 4096  # bytes of addresses and TLVs in version 2; certificates' names need some hundreds

_TEXT = b"PROXY "
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the upper half
_UNSPEC, _INET, _INET6, _UNIX = range(4)
_ADDRESS_SIZES = {_INET: 4, _INET6: 16, _UNIX: 108}
_MAPPED = bytes(10) + b"\xff\xff"
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


def parse(reader: Reader) -> Generator[None, None, Endpoint | None]:
    """Read the header: the client's address, or None where the connection's own is the client's.

    Raises:
        ProtocolError: anything else was sent. There is no reply.
    """
    first = yield from reader.exactly(1)
    if first == _TEXT[:1]:
        yield from _expect(reader, _TEXT[1:])
        return (yield from _text_header(reader))
    if first == _SIGNATURE[:1]:
        yield from _expect(reader, _SIGNATURE[1:])
        return (yield from _binary_header(reader))
    raise _bad()


def _expect(reader: Reader, wanted: bytes) -> Generator[None, None, None]:
    if (yield from reader.exactly(len(wanted))) != wanted:
        raise _bad()


def _text_header(reader: Reader) -> Generator[None, None, Endpoint | None]:
    try:
        line = yield from reader.until(b"\r\n", LINE_LIMIT - len(_TEXT))
    except LimitExceeded:
        raise _bad() from None
    family, *fields = line.split(b" ")
    if family == b"UNKNOWN":
        return None
    size = {b"TCP4": 4, b"TCP6": 16}.get(family)
    if size is None or len(fields) != 4:
        raise _bad()
    source, destination, source_port, destination_port = fields
    host = _host(source, size)
    _host(destination, size)
    _port(destination_port)
    return Endpoint(host, _port(source_port))


def _host(text: bytes, size: int) -> str:
    packed = pack(text.decode("latin-1"))
    if packed is None or len(packed) != size:
        raise _bad()
    return _unpack(packed)


def _port(text: bytes) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise _bad()
    return int(text)


def _binary_header(reader: Reader) -> Generator[None, None, Endpoint | None]:
    command, kind, high, low = yield from reader.exactly(4)
    length = high << 8 | low
    if command not in (_LOCAL, _PROXY) or length > BLOCK_LIMIT:
        raise _bad()
    block = yield from reader.exactly(length)
    if command == _LOCAL:  # a health check of the balancer's own; the rest of the header means nothing
        return None
    family, transport = kind >> 4, kind & 0x0F
    if family > _UNIX or transport > 2:
        raise _bad()
    if family == _UNSPEC or transport == 0:
        return None
    size = _ADDRESS_SIZES[family]
    if len(block) < 2 * size + (0 if family == _UNIX else 4):
        raise _bad()
    if family == _UNIX:
        return None
    return Endpoint(_unpack(block[:size]), int.from_bytes(block[2 * size : 2 * size + 2], "big"))


def _unpack(packed: bytes) -> str:
    """The address in text. One of IPv4 in IPv6's clothes (::ffff:0:0/96) is told as what it is, for rules to match."""
    return unpack(packed.removeprefix(_MAPPED) if len(packed) == 16 else packed)


def _bad() -> ProtocolError:
    return ProtocolError("bad_proxy_header")
