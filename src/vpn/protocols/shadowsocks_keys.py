"""Keys of Shadowsocks: what passwords and salts become (SIP004, SIP022, SIP023)."""

from __future__ import annotations

import base64
import hashlib

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from vpn.domain.shadowsocks import Method

TAG = 16
"""Bytes that sealing adds."""
_sha1 = hashlib.sha1  # as specified; HKDF does not need it to be free of collisions
_FIRST, _SECOND = b"ss-subkey\x01", b"ss-subkey\x02"
_BLOCK = 64  # bytes that SHA-1 takes at a time
_DIGEST = 20
_ZERO = b"\0"
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))  # of HMAC (RFC 2104)
_SESSION_SUBKEY = "shadowsocks 2022 session subkey"
_IDENTITY_SUBKEY = "shadowsocks 2022 identity subkey"

IDENTITY = 16
"""Bytes of a key's name, and of an identity header."""

AEAD = AESGCM | ChaCha20Poly1305


def master_key(method: Method, password: str) -> bytes:
    """The key that a password (SIP004), or a key in base64 (SIP022), stands for.

    Raises:
        ValueError: it is no base64.
    """
    if method.edition == 2022:
        return base64.b64decode(password, validate=True)
    key = digest = b""
    while len(key) < method.key_size:  # OpenSSL's EVP_BytesToKey, with MD5 and no salt
        digest = hashlib.md5(digest + password.encode(), usedforsecurity=False).digest()
        key += digest
    return key[: method.key_size]


def session_key(method: Method, key: bytes, salt: bytes) -> bytes:
    """The key of one session: of a TCP stream's direction, or a datagram (SIP004) or UDP session (SIP022)."""
    if method.edition == 2022:
        return blake3(key + salt, derive_key_context=_SESSION_SUBKEY).digest(method.key_size)
    return _derived(key, salt, method.key_size)


def _derived(key: bytes, salt: bytes, size: int) -> bytes:
    """HKDF (RFC 5869) with SHA-1, as SIP004 says, of at most 64 bytes of salt to at most 40 bytes.

    Every connection needs two of these, and a trial one: HMAC is written out, for that is half of the time.
    """
    block = salt.ljust(_BLOCK, _ZERO)
    block = _sha1(block.translate(_OUTER) + _sha1(block.translate(_INNER) + key).digest()).digest().ljust(_BLOCK, _ZERO)
    inner, outer = block.translate(_INNER), block.translate(_OUTER)
    derived = _sha1(outer + _sha1(inner + _FIRST).digest()).digest()
    if size > _DIGEST:
        derived += _sha1(outer + _sha1(inner + derived + _SECOND).digest()).digest()
    return derived[:size]


def sealing(method: Method, key: bytes) -> AEAD:
    """The cipher of a session."""
    return AESGCM(key) if method.cipher == "aes-gcm" else ChaCha20Poly1305(key)


def key_name(key: bytes) -> bytes:
    """By what identity headers name a user's key (SIP023)."""
    return blake3(key).digest(IDENTITY)


def named_in(method: Method, inbound_key: bytes, salt: bytes, header: bytes) -> bytes:
    """The name of a key in the identity header of a stream with this salt; anything, where that is none."""
    subkey = blake3(inbound_key + salt, derive_key_context=_IDENTITY_SUBKEY).digest(method.key_size)
    return Cipher(algorithms.AES(subkey), modes.ECB()).decryptor().update(header)  # noqa: S305 -- one block, as specified
