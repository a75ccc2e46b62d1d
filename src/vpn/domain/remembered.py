"""Passwords that were verified a moment ago.

argon2id costs tens of milliseconds, so its verdict on (user, password) is remembered for some minutes
under a keyed BLAKE2 digest: the password itself is not kept. A verdict carries the user's credential
number, and is void as soon as that number has moved on.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

LIFETIME = 300.0  # seconds
CAPACITY = 4096  # verdicts; the oldest goes first


class _Verdict(NamedTuple):
    credential: int
    accepted: bool
    until: float


class Remembered:
    """A bounded memory of verdicts. `now` is any clock in seconds that does not go back."""

    __slots__ = ("_key", "_verdicts")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._verdicts: dict[bytes, _Verdict] = {}

    def recall(self, user: str, password: str, credential: int, now: float) -> bool | None:
        """The verdict on this password under this credential number; None if there is none."""
        verdict = self._verdicts.get(self._digest(user, password))
        if verdict is None or verdict.credential != credential or verdict.until < now:
            return None
        return verdict.accepted

    def remember(self, user: str, password: str, credential: int, accepted: bool, now: float) -> None:
        """Keep a verdict for five minutes."""
        digest = self._digest(user, password)
        self._verdicts.pop(digest, None)
        if len(self._verdicts) >= CAPACITY:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[digest] = _Verdict(credential, accepted, now + LIFETIME)

    def _digest(self, user: str, password: str) -> bytes:
        text = f"{user}\0{password}".encode(errors="replace")
        return blake2b(text, digest_size=16, key=self._key).digest()
