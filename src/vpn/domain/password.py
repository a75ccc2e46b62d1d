"""Password hashes: argon2id (RFC 9106).

19 MiB and two passes are the OWASP minimum and take tens of milliseconds of a core, which is what every
first connection of a client costs; the passwords that the product makes have 116 bits and need no more.
"""

from __future__ import annotations

import base64
import re

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from vpn.domain.errors import Invalid

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

_ENCODED = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)
_MOST_MEMORY = 256 * 1024  # KiB: whoever brings a hash decides what verifying it costs us
_MOST_PASSES = 16
_MOST_LANES = 16


def hash_password(password: str) -> str:
    """Hash for storage. Takes tens of milliseconds of CPU: call it in a thread."""
    return _HASHER.hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether `password` has this hash. Takes tens of milliseconds of CPU: call it in a thread."""
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def check_password_hash(password_hash: str) -> str:
    """Return `password_hash` if it is argon2id in its usual encoding, and not too costly to verify.

    Raises:
        Invalid: it is not.
    """
    match = _ENCODED.fullmatch(password_hash) if len(password_hash) <= 255 else None
    if match is None or not (8 <= _size(match[4]) <= 64 and 16 <= _size(match[5]) <= 64):
        hint = "it begins with $argon2id$v=19$; to give a password in clear, use password instead"
        raise Invalid("bad_password_hash", "the password hash is not one of argon2id", hint)
    memory, passes, lanes = (int(match[number]) for number in (1, 2, 3))
    if not (8 * lanes <= memory <= _MOST_MEMORY and 1 <= passes <= _MOST_PASSES and 1 <= lanes <= _MOST_LANES):
        hint = f"at most 256 MiB, {_MOST_PASSES} passes and {_MOST_LANES} lanes are verified"
        raise Invalid("bad_password_hash", "the password hash has parameters that are not allowed", hint)
    return password_hash


def _size(encoded: str) -> int:
    """Bytes of base64 without padding; 0: it is not what an encoder would write."""
    if len(encoded) % 4 == 1:
        return 0
    decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return len(decoded) if base64.b64encode(decoded).decode().rstrip("=") == encoded else 0
