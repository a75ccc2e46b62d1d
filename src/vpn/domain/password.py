"""Password hashes: argon2id (RFC 9106).

19 MiB and two passes are the OWASP minimum and take tens of milliseconds of a core, which is what every
first connection of a client costs; the passwords that the product makes have 116 bits and need no more.
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """Hash for storage. Takes tens of milliseconds of CPU: call it in a thread."""
    return _HASHER.hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether `password` has this hash. Takes tens of milliseconds of CPU: call it in a thread."""
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
