"""Addresses as SOCKS writes them.

SOCKS5's requests, replies and datagrams (RFC 1928 §4 to §7) hold ATYP ADDR PORT, where ADDR is 4 bytes
(ATYP 1), 16 bytes (ATYP 4), or a length and a name (ATYP 3). Shadowsocks writes the same; SOCKS4a shares the rules for
names.
"""

from __future__ import annotations

from collections.abc import Generator
from socket import AF_INET6, inet_ntoa, inet_ntop

from vpn.domain import address
from vpn.protocols.errors import SocksError
from vpn.protocols.reader import Reader

IPV4, NAME, IPV6 = 0x01, 0x03, 0x04

_UNFIT = bytes(range(0x21)) + b"\x7f"  # spaces and control characters


def destination(reader: Reader, kind: int) -> Generator[None, None, tuple[str, int] | None]:
    """Read ADDR PORT behind this ATYP; None: it is unknown. The host is empty where the name can be none."""
    if kind == IPV4:
        raw = yield from reader.exactly(6)
        host = inet_ntoa(raw[:4])
    elif kind == NAME:
        (length,) = yield from reader.exactly(1)
        raw = yield from reader.exactly(length + 2)
        host = name(raw[:-2]) or ""
    elif kind == IPV6:
        raw = yield from reader.exactly(18)
        host = inet_ntop(AF_INET6, raw[:16])
    else:
        return None
    return host, int.from_bytes(raw[-2:], "big")


def name(raw: bytes) -> str | None:
    """A host name as it was sent, None if it cannot be one; resolving it is somebody else's job."""
    if not raw or len(raw.translate(None, _UNFIT)) != len(raw):
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def pack(host: str, port: int) -> bytes:
    """ATYP ADDR PORT of an IP address in text (a scope is left out) or a name.

    Raises:
        ValueError: the name is longer than 255 bytes.
    """
    packed = address.pack(host.partition("%")[0])
    if packed is None:
        raw = host.encode()
        packed = bytes((NAME, len(raw))) + raw
    elif len(packed) == 4:
        packed = b"\x01" + packed
    else:
        packed = b"\x04" + packed
    return packed + port.to_bytes(2, "big")


def unpack(data: bytes | memoryview, at: int = 0) -> tuple[str, int, int]:
    """What `pack` has written, at this place in something longer: host, port, and where it ends.

    Raises:
        SocksError: it is malformed, or the port is 0.
    """
    size = len(data)
    if size < at + 2:
        raise SocksError("short_datagram")
    kind = data[at]
    end = {IPV4: at + 7, NAME: at + 4 + data[at + 1], IPV6: at + 19}.get(kind)
    if end is None:
        raise SocksError("unknown_address_type")
    if size < end:
        raise SocksError("short_datagram")
    port = int.from_bytes(data[end - 2 : end], "big")
    if port == 0:
        raise SocksError("bad_port")
    raw = bytes(data[at + 1 : end - 2])
    if kind == NAME:
        host = name(raw[1:])
        if host is None:
            raise SocksError("bad_name")
        return host, port, end
    return inet_ntoa(raw) if kind == IPV4 else inet_ntop(AF_INET6, raw), port, end
