"""How a client's stream of Shadowsocks begins, and what tells from it whose it is. There is no I/O.

    SIP004      salt                       length of the first chunk (sealed)
    SIP022      salt  [identity header]    type 0, time, length (sealed)        what is wanted (sealed), see below

    wanted      ATYP ADDR PORT  length of padding  padding  first payload

Nothing says which key it is sealed with, except the identity header (SIP023), which names the user's key under the
inbound's. Where there is none, keys are tried.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from vpn.domain.shadowsocks import Method
from vpn.protocols.errors import ProtocolError
from vpn.protocols.shadowsocks_chunks import Opener
from vpn.protocols.shadowsocks_keys import IDENTITY, TAG, named_in, sealing, session_key
from vpn.protocols.socks_address import IPV4, IPV6, NAME

TOLERANCE = 30
"""Seconds that a client's clock may be wrong (SIP022)."""
CLIENT = 0
"""SIP022's type of a client's header."""
_FIRST_NONCE = bytes(12)
_HEADER = 1 + 8 + 2
_LENGTH = 2
_ADDRESSES = {IPV4: 1 + 4 + 2, IPV6: 1 + 16 + 2}  # bytes, by type; a name says its length


class ClockSkew(ProtocolError):
    """The key is right, and the time is not: it was sent long ago, or a clock is wrong.

    Args:
        offset: seconds by which the client's clock is ahead of ours.
    """

    def __init__(self, offset: int) -> None:
        super().__init__("clock_skew")
        self.offset = offset


class Beginning(NamedTuple):
    """A stream that a key opens."""

    opener: Opener
    salt: bytes
    taken: int
    """Bytes that were read of it."""


def needed(method: Method) -> int:
    """Bytes of a stream that tell whose it is."""
    if method.edition == 1:
        return method.key_size + _LENGTH + TAG
    return method.key_size + (IDENTITY if method.identified else 0) + _HEADER + TAG


def named(method: Method, inbound_key: bytes, sealed: bytes) -> bytes:
    """The name of the key in a stream's identity header; anything, where that is none."""
    salt = sealed[: method.key_size]
    return named_in(method, inbound_key, salt, sealed[method.key_size : method.key_size + IDENTITY])


def begin(method: Method, key: bytes, sealed: bytes, now: float) -> Beginning | None:
    """Try a key on what a stream begins with, `needed` bytes of it; None: it is another one.

    Args:
        now: seconds since the epoch.

    Raises:
        ClockSkew: the key is right, and the time is not.
        ProtocolError: the key is right, and this is no client's beginning.
    """
    size = method.key_size
    salt = sealed[:size]
    subkey = session_key(method, key, salt)
    aead = sealing(method, subkey)
    end = size + _LENGTH + TAG if method.edition == 1 else needed(method)
    header = sealed[end - (_LENGTH if method.edition == 1 else _HEADER) - TAG : end]
    try:
        opened = aead.decrypt(_FIRST_NONCE, header, None)
    except InvalidTag:
        return None
    if method.edition == 2022:
        if opened[0] != CLIENT:
            raise ProtocolError("bad_sealed_header")
        offset = int.from_bytes(opened[1:9], "big") - int(now)
        if abs(offset) > TOLERANCE:
            raise ClockSkew(offset)
    return Beginning(Opener(method, subkey, aead, int.from_bytes(opened[-2:], "big"), 1), salt, end)


def without_padding(wanted: bytes) -> bytes:
    """SIP022's first chunk in the form of SIP004's: the address, and the payload behind it.

    Raises:
        ProtocolError: it is none.
    """
    kind = wanted[0]
    size = _ADDRESSES.get(kind, 0) or (4 + wanted[1] if kind == NAME and len(wanted) > 1 else 0)
    padding = int.from_bytes(wanted[size : size + _LENGTH], "big")
    payload = size + _LENGTH + padding
    # Padding is for those who have nothing to say yet: else all requests without a payload would have the same length.
    if not size or len(wanted) < payload or payload == len(wanted) == size + _LENGTH:
        raise ProtocolError("bad_sealed_header")
    return wanted[:size] + wanted[payload:]
