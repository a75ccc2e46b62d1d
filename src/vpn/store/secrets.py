"""Secrets at rest: the key file, and values sealed with it.

The key lies outside the database, so that a stolen database or backup alone gives nothing away. The file
holds one line, ``vpn-manager-key-1 KEY CHECK``: the key in base64, and the beginning of its SHA-256, by which
a damaged file is told from a wrong one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vpn.domain.errors import Unavailable
from vpn.store.facts import FactStore

_MARK = "vpn-manager-key-1"
_KEY_SIZE = 32
_NONCE_SIZE = 12
_CHECK = "key_check"


class SecretBox:
    """Seals and opens values with AES-256-GCM.

    Each value is bound to a purpose, such as ``users/7/shadowsocks``, so that one cannot be put in another's
    place.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._digest_key = hashlib.blake2b(key, person=b"secret digests").digest()

    def seal(self, value: bytes, purpose: str) -> bytes:
        """Encrypt and authenticate."""
        nonce = os.urandom(_NONCE_SIZE)
        return nonce + self._cipher.encrypt(nonce, value, purpose.encode())

    def digest(self, value: bytes) -> str:
        """What tells equal values, 64 characters; without the key, it tells nothing of one that could be guessed."""
        return hmac.digest(self._digest_key, value, "sha256").hex()

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt.

        Raises:
            Unavailable: it was sealed with another key, for another purpose, or is damaged.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], purpose.encode())
        except (InvalidTag, ValueError):
            raise Unavailable(
                "secret_unreadable",
                f"the stored secret {purpose} cannot be opened with this key file",
                "put back the key file that belongs to this database",
            ) from None


def read_key(path: Path) -> bytes:
    """Read a key file.

    Raises:
        Unavailable: it is missing, not readable, damaged, or open to others.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise Unavailable("key_exposed", f"{path} can be read by others", f"chmod 600 {path}")
        words = path.read_text("ascii").split()
        key = base64.b64decode(words[1], validate=True)
        intact = len(words) == 3 and words[0] == _MARK and len(key) == _KEY_SIZE and words[2] == _digest(key)
    except OSError as error:
        raise Unavailable(
            "key_unreadable", f"{path}: {error.strerror}", "put back the key file that belongs to this database"
        ) from None
    except (IndexError, UnicodeDecodeError, binascii.Error):
        intact = False
    if not intact:
        raise Unavailable(
            "key_damaged", f"{path} is damaged", "restore it from a backup; what is sealed with it needs exactly it"
        )
    return key


def write_key(path: Path) -> None:
    """Make a new key and its file (0600), whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    key = os.urandom(_KEY_SIZE)
    line = f"{_MARK} {base64.b64encode(key).decode()} {_digest(key)}\n"
    write_private(path, line)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read (0600), whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


async def open_box(path: Path, facts: FactStore) -> SecretBox:
    """Open the secrets of a database with its key file; a new database gets a new key.

    Raises:
        Unavailable: the key file is missing, damaged, or another database's.
        OSError: a new one cannot be written.
    """
    sealed = await facts.get(_CHECK)
    if sealed is None and not path.exists():  # noqa: ASYNC240 -- once, at start
        write_key(path)
    box = SecretBox(read_key(path))
    if sealed is None:
        await facts.put(_CHECK, box.seal(b"", _CHECK))
        return box
    try:
        box.open(sealed, _CHECK)
    except Unavailable:
        raise Unavailable(
            "key_mismatch", f"{path} is not the key of this database", "put back the key file that it was made with"
        ) from None
    return box


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]
