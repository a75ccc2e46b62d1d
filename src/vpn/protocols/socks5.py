"""SOCKS5 (RFC 1928) with username/password authentication (RFC 1929).

client                                server
VER NMETHODS METHODS        ──►
                            ◄──       VER METHOD         (0xFF: none is acceptable)
01 ULEN UNAME PLEN PASSWD   ──►
                            ◄──       01 STATUS          (0: welcome)
VER CMD RSV ATYP ADDR PORT  ──►
                            ◄──       VER REP RSV ATYP BND.ADDR BND.PORT
"""

from __future__ import annotations

from collections.abc import Generator
from socket import AF_INET6, inet_ntoa, inet_ntop, inet_pton

from vpn.protocols.errors import SocksError
from vpn.protocols.events import Authenticate, Connect, Connected, Parser, Refusal, Refused, Send
from vpn.protocols.reader import Reader

VERSION = 5
USERNAME_PASSWORD = 0x02
CONNECT = 0x01
IPV4, NAME, IPV6 = 0x01, 0x03, 0x04

_REPLIES = {
    Refusal.FAILED: 1,
    Refusal.NOT_ALLOWED: 2,
    Refusal.NETWORK_UNREACHABLE: 3,
    Refusal.HOST_UNREACHABLE: 4,
    Refusal.NAME_NOT_FOUND: 4,
    Refusal.TIMED_OUT: 4,
    Refusal.CONNECTION_REFUSED: 5,
}
_COMMAND_NOT_SUPPORTED = 7
_ADDRESS_TYPE_NOT_SUPPORTED = 8
_CHOOSE_USERNAME_PASSWORD = Send(b"\x05\x02")
_WELCOME = Send(b"\x01\x00")


def parse(reader: Reader) -> Parser:
    """Serve one SOCKS5 client up to its tunnel.

    Raises:
        SocksError: with the reply the client should get.
    """
    yield from _negotiate(reader)
    connect = yield from _request(reader)
    outcome = yield connect
    if isinstance(outcome, Connected):
        yield Send(_granted(outcome))
    elif isinstance(outcome, Refused):
        raise SocksError(outcome.why.value, _failure(_REPLIES[outcome.why]))


def _negotiate(reader: Reader) -> Parser:
    version, count = yield from reader.exactly(2)
    if version != VERSION:
        raise SocksError("bad_version")
    methods = yield from reader.exactly(count)
    if USERNAME_PASSWORD not in methods:
        raise SocksError("no_acceptable_method", b"\x05\xff")
    yield _CHOOSE_USERNAME_PASSWORD

    version, length = yield from reader.exactly(2)
    if version != 1:
        raise SocksError("bad_auth_version", b"\x01\x01")
    user = yield from reader.exactly(length)
    (length,) = yield from reader.exactly(1)
    password = yield from reader.exactly(length)
    # RFC 1929 names no encoding; clients send UTF-8, and bytes that are not UTF-8 match nobody.
    accepted = yield Authenticate(user.decode(errors="replace"), password.decode(errors="replace"))
    if not accepted:
        raise SocksError("authentication_failed", b"\x01\x01")
    yield _WELCOME


def _request(reader: Reader) -> Generator[None, None, Connect]:
    version, command, reserved, kind = yield from reader.exactly(4)
    if version != VERSION or reserved != 0:
        raise SocksError("bad_request", _failure(1))
    if kind == IPV4:
        host = inet_ntoa((yield from reader.exactly(4)))
    elif kind == IPV6:
        host = inet_ntop(AF_INET6, (yield from reader.exactly(16)))
    elif kind == NAME:
        (length,) = yield from reader.exactly(1)
        host = _name((yield from reader.exactly(length)))
    else:
        raise SocksError("unknown_address_type", _failure(_ADDRESS_TYPE_NOT_SUPPORTED))
    port = int.from_bytes((yield from reader.exactly(2)), "big")
    if command != CONNECT:
        raise SocksError("unknown_command", _failure(_COMMAND_NOT_SUPPORTED))
    return Connect(host, port)


def _name(raw: bytes) -> str:
    """A host name as the client sent it; resolving it is somebody else's job."""
    if not raw or any(byte <= 0x20 or byte == 0x7F for byte in raw):
        raise SocksError("bad_name", _failure(1))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise SocksError("bad_name", _failure(1)) from None


def _failure(code: int) -> bytes:
    return bytes((VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0))


def _granted(end: Connected) -> bytes:
    if ":" in end.host:
        bound = b"\x05\x00\x00\x04" + inet_pton(AF_INET6, end.host.partition("%")[0])
    else:
        bound = b"\x05\x00\x00\x01" + bytes(map(int, end.host.split(".")))
    return bound + end.port.to_bytes(2, "big")
