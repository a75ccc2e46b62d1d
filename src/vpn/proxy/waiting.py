"""How much of the users' datagrams waits: for a rate, or for a name to be resolved."""

from __future__ import annotations

from collections import Counter

MOST = 4 << 20
"""Bytes of one user's datagrams, in all sessions, that may wait in a worker; what comes then is lost."""


class Waiting:
    """Bytes that wait, by whose they are. Sessions cost nothing, so what each may hold back bounds nothing."""

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()

    def take(self, user: str, size: int) -> bool:
        """Whether so many bytes more may wait; if so, `give` when they have gone."""
        if self._bytes.get(user, 0) + size > MOST:
            return False
        self._bytes[user] += size
        return True

    def give(self, user: str, size: int) -> None:
        """So many bytes do not wait any more."""
        self._bytes[user] -= size
        if not self._bytes[user]:
            del self._bytes[user]

    @property
    def total(self) -> int:
        """Bytes that wait."""
        return self._bytes.total()
