"""XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), made of what the libraries have: ChaCha20 and its AEAD."""

from __future__ import annotations

from struct import Struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NONCE = 24
"""Bytes of a nonce, which may be random."""
_WORDS = Struct("<8I")
_BLOCK = bytes(64)
_MASK = 0xFFFFFFFF
_CONSTANT = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)  # "expand 32-byte k"
_FOUR = Struct("<4I")


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """The key that a key of 32 bytes and a nonce of 16 make (section 2.2).

    It is ChaCha20's block without its last step, which adds what it began with: that is taken away again.
    """
    block = Cipher(algorithms.ChaCha20(key, nonce), mode=None).encryptor().update(_BLOCK)
    first, last = _FOUR.unpack_from(block), _FOUR.unpack_from(block, 48)
    a, b, c, d = _CONSTANT
    e, f, g, h = _FOUR.unpack(nonce)
    return _WORDS.pack(
        first[0] - a & _MASK,
        first[1] - b & _MASK,
        first[2] - c & _MASK,
        first[3] - d & _MASK,
        last[0] - e & _MASK,
        last[1] - f & _MASK,
        last[2] - g & _MASK,
        last[3] - h & _MASK,
    )


def cipher_of(key: bytes, nonce: bytes | memoryview) -> tuple[ChaCha20Poly1305, bytes]:
    """The cipher for one message, and the nonce that it takes."""
    nonce = bytes(nonce)
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), b"\0\0\0\0" + nonce[16:]
