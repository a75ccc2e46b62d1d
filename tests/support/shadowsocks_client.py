"""A client of Shadowsocks without I/O, written from SIP004, SIP022 and SIP023, and not from the product.

It seals what it sends, and opens what comes back.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import time

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

SIZES = {
    "aes-128-gcm": 16,
    "aes-256-gcm": 32,
    "chacha20-ietf-poly1305": 32,
    "2022-blake3-aes-128-gcm": 16,
    "2022-blake3-aes-256-gcm": 32,
    "2022-blake3-chacha20-poly1305": 32,
}
METHODS = tuple(SIZES)
OLD, NEW = METHODS[:3], METHODS[3:]
IDENTIFIED = METHODS[3:5]
MOST = 0x3FFF


def keys_of(method: str, password: str) -> list[bytes]:
    """The keys that a client's password stands for: the server's own ones first, the user's last."""
    if method in NEW:
        return [base64.b64decode(each) for each in password.split(":")]
    key, digest = b"", b""
    while len(key) < SIZES[method]:
        digest = hashlib.md5(digest + password.encode()).digest()
        key += digest
    return [key[: SIZES[method]]]


def cipher_of(method: str, key: bytes, salt: bytes) -> AESGCM | ChaCha20Poly1305:
    """The cipher of one stream."""
    size = SIZES[method]
    if method in NEW:
        subkey = blake3(key + salt, derive_key_context="shadowsocks 2022 session subkey").digest(size)
    else:
        extracted = hmac.digest(salt, key, "sha1")
        first = hmac.digest(extracted, b"ss-subkey\x01", "sha1")
        subkey = (first + hmac.digest(extracted, first + b"ss-subkey\x02", "sha1"))[:size]
    return ChaCha20Poly1305(subkey) if "chacha" in method else AESGCM(subkey)


def address(host: str, port: int) -> bytes:
    """ATYP ADDR PORT."""
    for family, kind in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        try:
            return bytes([kind]) + socket.inet_pton(family, host) + port.to_bytes(2, "big")
        except OSError:
            pass
    name = host.encode()
    return bytes([3, len(name)]) + name + port.to_bytes(2, "big")


class _Direction:
    """A cipher whose nonce counts up."""

    def __init__(self, method: str, key: bytes, salt: bytes) -> None:
        self._cipher = cipher_of(method, key, salt)
        self._count = 0

    def _nonce(self) -> bytes:
        self._count += 1
        return (self._count - 1).to_bytes(12, "little")

    def seal(self, data: bytes) -> bytes:
        return self._cipher.encrypt(self._nonce(), data, None)

    def open(self, data: bytes) -> bytes:
        return self._cipher.decrypt(self._nonce(), data, None)

    def chunk(self, data: bytes) -> bytes:
        return self.seal(len(data).to_bytes(2, "big")) + self.seal(data)


class ShadowsocksClient:
    """One stream to a destination.

    Args:
        password: as the client's settings have it; with identity headers ``inbound:user``.
        salt: for tests that need the same twice.
        now: what the client takes for the time.
    """

    def __init__(self, method: str, password: str, *, salt: bytes | None = None, now: float | None = None) -> None:
        self.method = method
        self._keys = keys_of(method, password)
        self.salt = os.urandom(SIZES[method]) if salt is None else salt
        self.now = time.time() if now is None else now
        self._up = _Direction(method, self._keys[-1], self.salt)
        self._down: _Direction | None = None
        self._received = b""
        self._length = -1

    def identity(self) -> bytes:
        """The identity headers."""
        headers = b""
        for own, next_key in zip(self._keys, self._keys[1:], strict=False):
            context = "shadowsocks 2022 identity subkey"
            subkey = blake3(own + self.salt, derive_key_context=context).digest(SIZES[self.method])
            encryptor = Cipher(algorithms.AES(subkey), modes.ECB()).encryptor()
            headers += encryptor.update(blake3(next_key).digest(16))
        return headers

    def request(self, host: str, port: int, payload: bytes = b"", padding: int | None = None, kind: int = 0) -> bytes:
        """What the stream begins with. Padding is as long as the specification demands, unless a length is given."""
        wanted = address(host, port)
        if self.method in OLD:
            return self.salt + self._up.chunk(wanted + payload)
        length = (0 if payload else 17) if padding is None else padding
        wanted += length.to_bytes(2, "big") + os.urandom(length) + payload
        fixed = bytes([kind]) + int(self.now).to_bytes(8, "big") + len(wanted).to_bytes(2, "big")
        return self.salt + self.identity() + self._up.seal(fixed) + self._up.seal(wanted)

    def send(self, data: bytes, size: int = MOST) -> bytes:
        """The data, sealed, in chunks of this size."""
        return b"".join(self._up.chunk(data[at : at + size]) for at in range(0, len(data), size))

    def receive(self, data: bytes) -> bytes:
        """Open what came; it may be cut up anyhow.

        Raises:
            InvalidTag: it is not what the server sealed.
            AssertionError: it is not what the specification says.
        """
        self._received += data
        opened = b""
        if self._down is None and not self._begin():
            return b""
        assert self._down is not None
        while True:
            if self._length < 0:
                if len(self._received) < 18:
                    return opened
                self._length = int.from_bytes(self._down.open(self._take(18)), "big")
                assert 0 < self._length <= (MOST if self.method in OLD else 0xFFFF)
            if len(self._received) < self._length + 16:
                return opened
            opened += self._down.open(self._take(self._length + 16))
            self._length = -1

    @property
    def truncated(self) -> bool:
        """Whether something came that is no whole chunk."""
        return bool(self._received) or self._length >= 0

    def _begin(self) -> bool:
        size = SIZES[self.method]
        header = 0 if self.method in OLD else 1 + 8 + size + 2 + 16
        if len(self._received) < size + header:
            return False
        self._down = _Direction(self.method, self._keys[-1], self._take(size))
        if header:
            told = self._down.open(self._take(header))
            assert told[0] == 1
            assert abs(int.from_bytes(told[1:9], "big") - time.time()) <= 30
            assert told[9 : 9 + size] == self.salt
            self._length = int.from_bytes(told[-2:], "big")
            assert self._length > 0
        return True

    def _take(self, count: int) -> bytes:
        taken, self._received = self._received[:count], self._received[count:]
        return taken
