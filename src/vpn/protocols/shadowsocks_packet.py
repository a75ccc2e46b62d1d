"""Shadowsocks' datagrams: opened and sealed.

    SIP004                    salt, sealed with a key of its own: ATYP ADDR PORT DATA
    SIP022, AES-GCM           header, identity (of a client's only, SIP023), sealed with the session's key: BODY
    SIP022, ChaCha20          nonce, sealed with the user's key: session, number, BODY

    header    session (8 bytes), number: one block of AES, with the inbound's key of a client's, else with the user's
    identity  the beginning of the user's hashed key XOR the header: one block of AES, with the inbound's key
    BODY      type, time, of a server's the client's session, length of padding, padding, ATYP ADDR PORT DATA

Sessions are what clients make; the server has a session of its own for each, in which it counts what it sends. Numbers
and times are the caller's to judge (vpn.protocols.packet_window). Whatever is random is given.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from vpn.domain.shadowsocks import Method
from vpn.protocols import xchacha
from vpn.protocols.errors import SocksError
from vpn.protocols.shadowsocks_keys import AEAD, TAG, sealing, session_key

LARGEST = 65_507
"""Bytes of the largest datagram that IPv4 carries."""
PREFIX = 35
"""Bytes that sealing may want to write before an answer's ATYP."""
TOLERANCE = 30
"""Seconds that the clocks of client and server may be apart."""
BLOCK = 16
_SESSION = 8
_FROM_CLIENT, _FROM_SERVER = 0, 1
_ZERO = bytes(12)
_ASKED = Struct("!BQH")  # type, time, length of padding
_NUMBER = Struct("!8sQ")
_ANSWERED = Struct("!BQ8sH")
_NUMBERED = Struct("!8sQBQ8sH")

Seal = Callable[[memoryview, int, int, int, bytes], bytes]
"""Seals an answer: ATYP ADDR PORT DATA, which lie in a buffer from here to there, behind room for `PREFIX` bytes; at
this time, in seconds since the epoch; with this salt, or nonce, of `salt_size` bytes."""


def salt_size(method: Method) -> int:
    """Random bytes that each datagram takes."""
    if method.edition == 1:
        return method.key_size
    return 0 if method.cipher == "aes-gcm" else xchacha.NONCE


class Headings:
    """Reads what stands before the sealed part of a client's datagrams, where clients say who they are (SIP023).

    Args:
        key: the inbound's.
    """

    def __init__(self, key: bytes) -> None:
        self._decrypt = Cipher(algorithms.AES(key), modes.ECB()).decryptor().update  # noqa: S305 -- SIP022 says so

    def read(self, packet: bytes | memoryview) -> tuple[bytes, bytes]:
        """The header, and the identity of whom it comes from; of `BLOCK` bytes each.

        Raises:
            SocksError: it is too short.
        """
        if len(packet) < 2 * BLOCK + TAG + _ASKED.size:
            raise SocksError("short_datagram")
        blocks = self._decrypt(packet[: 2 * BLOCK])
        header = blocks[:BLOCK]
        masked = int.from_bytes(blocks[BLOCK:], "big") ^ int.from_bytes(header, "big")
        return header, masked.to_bytes(BLOCK, "big")


def session_cipher(method: Method, key: bytes, session: bytes) -> AEAD:
    """What opens or seals all datagrams of a session (SIP022, AES-GCM)."""
    return sealing(method, session_key(method, key, session))


def open_headed(cipher: AEAD, header: bytes, packet: bytes | memoryview) -> bytes | None:
    """The body of a client's datagram whose header has been read; None: it is not sealed with this key."""
    try:
        return cipher.decrypt(header[4:], packet[2 * BLOCK :], None)
    except InvalidTag:
        return None


def open_salted(method: Method, key: bytes, packet: bytes | memoryview) -> bytes | None:
    """What a datagram of SIP004 holds; None: it is not sealed with this user's key."""
    size = method.key_size
    if len(packet) < size + TAG:
        return None
    try:
        return sealing(method, session_key(method, key, bytes(packet[:size]))).decrypt(_ZERO, packet[size:], None)
    except InvalidTag:
        return None


def open_nonced(method: Method, key: bytes, packet: bytes | memoryview) -> bytes | None:
    """The header and body of a datagram of SIP022 with ChaCha20; None: it is not sealed with this user's key."""
    if len(packet) < xchacha.NONCE + BLOCK + _ASKED.size + TAG:
        return None
    cipher, nonce = xchacha.cipher_of(key, packet[: xchacha.NONCE])
    try:
        return cipher.decrypt(nonce, packet[xchacha.NONCE :], None)
    except InvalidTag:
        return None


def read_header(header: bytes) -> tuple[bytes, int]:
    """Session and number, which may stand at the beginning of something longer."""
    session, number = _NUMBER.unpack_from(header)
    return session, number


def read_body(body: bytes, at: int = 0) -> tuple[int, int]:
    """When the client has sent this, by its clock, in seconds since the epoch; and where ATYP ADDR PORT DATA begin.

    Args:
        at: where the body begins.

    Raises:
        SocksError: it is malformed, or a server's.
    """
    try:
        kind, sent, padding = _ASKED.unpack_from(body, at)
    except error:
        raise SocksError("short_datagram") from None
    if kind != _FROM_CLIENT:
        raise SocksError("bad_datagram")
    start = at + _ASKED.size + padding
    if start > len(body):
        raise SocksError("short_datagram")
    return sent, start


def salted_seal(method: Method, key: bytes) -> Seal:
    """Answers as SIP004 wants them."""

    def seal(buffer: memoryview, start: int, end: int, _now: int, salt: bytes) -> bytes:
        return salt + sealing(method, session_key(method, key, salt)).encrypt(_ZERO, buffer[start:end], None)

    return seal


def headed_seal(method: Method, key: bytes, session: bytes, client: bytes) -> Seal:
    """Answers as SIP022 wants them with AES-GCM.

    Args:
        key: the user's.
        session: ours, of 8 random bytes.
        client: the client's session.
    """
    cipher = session_cipher(method, key, session)
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305 -- SIP022 says so
    number = 0

    def seal(buffer: memoryview, start: int, end: int, now: int, _salt: bytes) -> bytes:
        nonlocal number
        header = session + number.to_bytes(8, "big")
        number += 1
        _ANSWERED.pack_into(buffer, start - _ANSWERED.size, _FROM_SERVER, now, client, 0)
        return encrypt(header) + cipher.encrypt(header[4:], buffer[start - _ANSWERED.size : end], None)

    return seal


def nonced_seal(key: bytes, session: bytes, client: bytes) -> Seal:
    """Answers as SIP022 wants them with ChaCha20; the arguments are those of `headed_seal`."""
    number = 0

    def seal(buffer: memoryview, start: int, end: int, now: int, salt: bytes) -> bytes:
        nonlocal number
        _NUMBERED.pack_into(buffer, start - _NUMBERED.size, session, number, _FROM_SERVER, now, client, 0)
        number += 1
        cipher, nonce = xchacha.cipher_of(key, salt)
        return salt + cipher.encrypt(nonce, buffer[start - _NUMBERED.size : end], None)

    return seal


def seal_of(method: Method, key: bytes, session: bytes, client: bytes) -> Seal:
    """How a user's answers are sealed; without sessions (SIP004) these are of no meaning."""
    if method.edition == 1:
        return salted_seal(method, key)
    return headed_seal(method, key, session, client) if method.identified else nonced_seal(key, session, client)
