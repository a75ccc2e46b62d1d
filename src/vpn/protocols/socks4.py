"""SOCKS4 and SOCKS4a (Ying-Da Lee's memos; there is no RFC).

client                                              server
VN CD DSTPORT DSTIP USERID NUL [NAME NUL]  ──►
                                           ◄──      0 CD DSTPORT DSTIP      (90: granted, 91: refused)
                                           ◄──      the same again, with the peer's address (BIND only)

The name is there where DSTIP is 0.0.0.x with x other than 0: that is 4a. USERID is what anybody may write,
so it authenticates nobody, and only admitted clients are served.
"""

from __future__ import annotations

from collections.abc import Generator
from socket import inet_ntoa

from vpn.domain import address
from vpn.protocols import socks_address
from vpn.protocols.errors import SocksError
from vpn.protocols.events import Accept, Bind, Bound, Connect, Connected, Parser, Refused, Send
from vpn.protocols.reader import LimitExceeded, Reader

VERSION = 4
CONNECT, BIND = 1, 2
TEXT_LIMIT = 255  # bytes of USERID and of a name, each

_REFUSED = b"\x00\x5b" + bytes(6)


def parse(reader: Reader, *, admitted: bool = False) -> Parser:
    """Serve one SOCKS4 client up to its tunnel.

    Args:
        admitted: it needs no credentials; nobody else is served.

    Raises:
        SocksError: with the reply the client should get.
    """
    command, host, port = yield from _request(reader)
    if not admitted:
        raise SocksError("authentication_required", _REFUSED)
    outcome = yield _command(command, host, port)
    if isinstance(outcome, Bound):
        yield Send(_granted(outcome.host, outcome.port))
        outcome = yield Accept()
    if isinstance(outcome, Connected):
        yield Send(_granted(outcome.host, outcome.port))
    elif isinstance(outcome, Refused):
        raise SocksError(outcome.why.value, _REFUSED)


def _request(reader: Reader) -> Generator[None, None, tuple[int, str, int]]:
    """Read all of it: the command, and where to."""
    (version,) = yield from reader.exactly(1)
    if version != VERSION:
        raise SocksError("bad_version")
    raw = yield from reader.exactly(7)
    yield from _text(reader, "user_too_long")
    host: str | None = inet_ntoa(raw[3:])
    if raw[3:6] == b"\0\0\0" and raw[6] != 0:
        host = socks_address.name((yield from _text(reader, "bad_name")))
    if host is None:
        raise SocksError("bad_name", _REFUSED)
    return raw[0], host, int.from_bytes(raw[1:3], "big")


def _text(reader: Reader, too_long: str) -> Generator[None, None, bytes]:
    try:
        return (yield from reader.until(b"\0", TEXT_LIMIT + 1))
    except LimitExceeded:
        raise SocksError(too_long, _REFUSED) from None


def _command(command: int, host: str, port: int) -> Connect | Bind:
    if command == BIND:
        return Bind(host, port)
    if command != CONNECT:
        raise SocksError("unknown_command", _REFUSED)
    if port == 0:
        raise SocksError("bad_port", _REFUSED)
    return Connect(host, port)


def _granted(host: str, port: int) -> bytes:
    """The reply to what was done. There is no room for IPv6; zeros mean the address of this server."""
    packed = address.pack(host) or b""
    return b"\x00\x5a" + port.to_bytes(2, "big") + (packed if len(packed) == 4 else bytes(4))
