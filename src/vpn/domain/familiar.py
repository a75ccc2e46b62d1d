"""Where users have come from of late.

A user whose name is being guessed at from all over the world must still get in: guesses count against the
name, but not at the addresses from which the right password has come. What is kept is bounded, and only
right passwords get anything in.
"""

from __future__ import annotations

from collections.abc import Sequence

FAMILIAR_FOR = 7 * 86400.0  # seconds since the last right password
MOST_SOURCES = 16  # of one user; the one not seen for longest goes first
MOST_USERS = 65_536  # likewise


class Familiar:
    """Sources by user, both as failures are counted against them (vpn.domain.bans). `now` is in seconds."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = {}

    def see(self, source: str, user: str, now: float) -> None:
        """The right password of this user came from there."""
        sources = self._seen.pop(user, {})
        sources.pop(source, None)
        if len(sources) >= MOST_SOURCES:
            del sources[next(iter(sources))]
        sources[source] = now
        if len(self._seen) >= MOST_USERS:
            del self._seen[next(iter(self._seen))]
        self._seen[user] = sources

    def knows(self, source: str, user: str, now: float) -> bool:
        """Whether it has come from there within the last week."""
        seen = self._seen.get(user, {}).get(source)
        return seen is not None and now - seen < FAMILIAR_FOR

    def sources(self, user: str, now: float) -> Sequence[str]:
        """Where the user is known."""
        return [source for source, seen in self._seen.get(user, {}).items() if now - seen < FAMILIAR_FOR]
