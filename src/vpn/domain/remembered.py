"""Passwords that were verified a moment ago.

argon2id costs tens of milliseconds, so its verdict on (user, password) is remembered for some minutes
under a keyed BLAKE2 digest: the password itself is not kept. A verdict carries the user's credential
number, and is void as soon as that number has moved on.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

LIFETIME = 300.0  # seconds
CAPACITY = 4096  # verdicts of each kind; the oldest goes first


class _Verdict(NamedTuple):
    credential: int
    until: float


class Remembered:
    """A bounded memory of verdicts. `now` is any clock in seconds that does not go back.

    Right passwords and wrong ones are kept apart, so that no storm of wrong ones drives out the right ones.
    """

    __slots__ = ("_accepted", "_key", "_refused")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._accepted: dict[bytes, _Verdict] = {}
        self._refused: dict[bytes, _Verdict] = {}

    def recall(self, user: str, password: str, credential: int, now: float) -> bool | None:
        """The verdict on this password under this credential number; None if there is none."""
        digest = self._digest(user, password)
        for accepted, verdicts in ((True, self._accepted), (False, self._refused)):
            verdict = verdicts.get(digest)
            if verdict is not None and verdict.credential == credential and verdict.until >= now:
                return accepted
        return None

    def remember(self, user: str, password: str, credential: int, accepted: bool, now: float) -> None:
        """Keep a verdict for five minutes."""
        digest = self._digest(user, password)
        self._accepted.pop(digest, None)
        self._refused.pop(digest, None)
        verdicts = self._accepted if accepted else self._refused
        if len(verdicts) >= CAPACITY:
            del verdicts[next(iter(verdicts))]
        verdicts[digest] = _Verdict(credential, now + LIFETIME)

    def _digest(self, user: str, password: str) -> bytes:
        text = f"{user}\0{password}".encode(errors="replace")
        return blake2b(text, digest_size=16, key=self._key).digest()
