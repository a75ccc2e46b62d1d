"""SOCKS5 (RFC 1928) with username/password authentication (RFC 1929).

client                                server
VER NMETHODS METHODS        ──►
                            ◄──       VER METHOD         (0xFF: none is acceptable)
01 ULEN UNAME PLEN PASSWD   ──►
                            ◄──       01 STATUS          (0: welcome)
VER CMD RSV ATYP ADDR PORT  ──►
                            ◄──       VER REP RSV ATYP BND.ADDR BND.PORT
                            ◄──       the same again, with the peer's address (BIND only)

After CONNECT and BIND the connection is a tunnel; after UDP ASSOCIATE it lasts as long as the association.
"""

from __future__ import annotations

from collections.abc import Generator

from vpn.protocols import socks_address
from vpn.protocols.errors import SocksError
from vpn.protocols.events import (
    Accept,
    Associate,
    Authenticate,
    Bind,
    Bound,
    Connect,
    Connected,
    Parser,
    Refusal,
    Refused,
    Send,
)
from vpn.protocols.reader import Reader
from vpn.protocols.socks_address import IPV4

VERSION = 5
NO_AUTHENTICATION, USERNAME_PASSWORD = 0x00, 0x02
CONNECT, BIND, UDP_ASSOCIATE = 0x01, 0x02, 0x03

_REPLIES = {
    Refusal.FAILED: 1,
    Refusal.NOT_ALLOWED: 2,
    Refusal.NETWORK_UNREACHABLE: 3,
    Refusal.HOST_UNREACHABLE: 4,
    Refusal.NAME_NOT_FOUND: 4,
    Refusal.TIMED_OUT: 4,
    Refusal.CONNECTION_REFUSED: 5,
}
_GENERAL_FAILURE = 1
_COMMAND_NOT_SUPPORTED = 7
_ADDRESS_TYPE_NOT_SUPPORTED = 8
_CHOOSE_NO_AUTHENTICATION = Send(b"\x05\x00")
_CHOOSE_USERNAME_PASSWORD = Send(b"\x05\x02")
_WELCOME = Send(b"\x01\x00")


def parse(reader: Reader, *, admitted: bool = False) -> Parser:
    """Serve one SOCKS5 client up to its tunnel or association.

    Args:
        admitted: it needs no credentials. It is asked for them all the same where it offers to tell them.

    Raises:
        SocksError: with the reply the client should get.
    """
    yield from _negotiate(reader, admitted)
    request = yield from _request(reader)
    outcome = yield request
    if isinstance(outcome, Bound):
        yield Send(_granted(outcome.host, outcome.port))
        if isinstance(request, Associate):
            return
        outcome = yield Accept()
    if isinstance(outcome, Connected):
        yield Send(_granted(outcome.host, outcome.port))
    elif isinstance(outcome, Refused):
        raise SocksError(outcome.why.value, _failure(_REPLIES[outcome.why]))


def _negotiate(reader: Reader, admitted: bool) -> Parser:
    version, count = yield from reader.exactly(2)
    if version != VERSION:
        raise SocksError("bad_version")
    methods = yield from reader.exactly(count)
    if USERNAME_PASSWORD in methods:
        yield _CHOOSE_USERNAME_PASSWORD
        yield from _authenticate(reader, admitted)
    elif admitted and NO_AUTHENTICATION in methods:
        yield _CHOOSE_NO_AUTHENTICATION
    else:
        raise SocksError("no_acceptable_method", b"\x05\xff")


def _authenticate(reader: Reader, admitted: bool) -> Parser:
    version, length = yield from reader.exactly(2)
    if version != 1:
        raise SocksError("bad_auth_version", b"\x01\x01")
    user = yield from reader.exactly(length + 1)  # and the password's length behind it
    password = yield from reader.exactly(user[-1])
    if length or not admitted:
        # RFC 1929 names no encoding; clients send UTF-8, and bytes that are not UTF-8 match nobody.
        accepted = yield Authenticate(user[:-1].decode(errors="replace"), password.decode(errors="replace"))
        if not accepted:
            raise SocksError("authentication_failed", b"\x01\x01")
    yield _WELCOME


def _request(reader: Reader) -> Generator[None, None, Connect | Bind | Associate]:
    version, command, reserved, kind = yield from reader.exactly(4)
    if version != VERSION or reserved != 0:
        raise SocksError("bad_request", _failure(_GENERAL_FAILURE))
    destination = yield from socks_address.destination(reader, kind)
    if destination is None:
        raise SocksError("unknown_address_type", _failure(_ADDRESS_TYPE_NOT_SUPPORTED))
    return _command(command, *destination)


def _command(command: int, host: str, port: int) -> Connect | Bind | Associate:
    if not host:
        raise SocksError("bad_name", _failure(_GENERAL_FAILURE))
    if command == CONNECT:
        if port == 0:
            raise SocksError("bad_port", _failure(_GENERAL_FAILURE))
        return Connect(host, port)
    if command == BIND:
        return Bind(host, port)
    if command == UDP_ASSOCIATE:
        return Associate(host, port)
    raise SocksError("unknown_command", _failure(_COMMAND_NOT_SUPPORTED))


def _failure(code: int) -> bytes:
    return bytes((VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0))


def _granted(host: str, port: int) -> bytes:
    return b"\x05\x00\x00" + socks_address.pack(host, port)
