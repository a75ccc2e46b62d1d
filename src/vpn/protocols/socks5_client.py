"""SOCKS5 (RFC 1928, RFC 1929) as a client of an upstream proxy.

us                                    upstream
VER NMETHODS METHODS        ──►
                            ◄──       VER METHOD
01 ULEN UNAME PLEN PASSWD   ──►                          (if it asks for it)
                            ◄──       VER STATUS
VER CMD RSV ATYP ADDR PORT  ──►
                            ◄──       VER REP RSV ATYP BND.ADDR BND.PORT
"""

from __future__ import annotations

from collections.abc import Generator

from vpn.protocols import socks_address
from vpn.protocols.errors import UpstreamError
from vpn.protocols.events import Refusal, Send
from vpn.protocols.reader import Reader
from vpn.protocols.socks5 import NO_AUTHENTICATION, USERNAME_PASSWORD, VERSION
from vpn.protocols.socks_address import IPV4, IPV6, NAME

_REFUSALS = {
    2: Refusal.NOT_ALLOWED,
    3: Refusal.NETWORK_UNREACHABLE,
    4: Refusal.HOST_UNREACHABLE,
    5: Refusal.CONNECTION_REFUSED,
    6: Refusal.TIMED_OUT,  # "TTL expired"
}
_NO_ACCEPTABLE_METHOD = 0xFF


def greet(reader: Reader, user: str, password: str) -> Generator[Send | None, None, None]:
    """Agree on a method, and log in where the upstream proxy asks for it.

    Args:
        user: empty if there are no credentials; at most 255 bytes of UTF-8, as is the password.

    Raises:
        UpstreamError: it wants credentials, or others, or does not speak SOCKS5.
    """
    yield Send(b"\x05\x02\x00\x02" if user else b"\x05\x01\x00")
    version, method = yield from reader.exactly(2)
    if version != VERSION:
        raise UpstreamError("upstream_bad_reply")
    if method == _NO_ACCEPTABLE_METHOD:
        raise UpstreamError("upstream_authentication_failed")
    if method == USERNAME_PASSWORD and user:
        yield from _log_in(reader, user.encode(), password.encode())
    elif method != NO_AUTHENTICATION:
        raise UpstreamError("upstream_bad_reply")


def _log_in(reader: Reader, user: bytes, password: bytes) -> Generator[Send | None, None, None]:
    yield Send(bytes((1, len(user))) + user + bytes((len(password),)) + password)
    # The version is not looked at: it should be 1, and some servers say 5.
    _, status = yield from reader.exactly(2)
    if status != 0:
        raise UpstreamError("upstream_authentication_failed")


def connect(reader: Reader, host: str, port: int) -> Generator[Send | None, None, None]:
    """Ask for a connection. What the destination says first stays in the reader.

    Raises:
        UpstreamError: it was refused, or the reply is none.
    """
    try:
        destination = socks_address.pack(host, port)
    except ValueError:
        raise UpstreamError("upstream_bad_name", Refusal.NAME_NOT_FOUND) from None
    yield Send(b"\x05\x01\x00" + destination)
    version, reply = yield from reader.exactly(2)
    if version != VERSION:
        raise UpstreamError("upstream_bad_reply")
    if reply != 0:
        raise UpstreamError("upstream_refused", _REFUSALS.get(reply, Refusal.FAILED))
    yield from _skip_bound_address(reader)


def _skip_bound_address(reader: Reader) -> Generator[None, None, None]:
    _, kind = yield from reader.exactly(2)
    if kind == IPV4:
        size = 4
    elif kind == IPV6:
        size = 16
    elif kind == NAME:
        (size,) = yield from reader.exactly(1)
    else:
        raise UpstreamError("upstream_bad_reply")
    yield from reader.exactly(size + 2)
