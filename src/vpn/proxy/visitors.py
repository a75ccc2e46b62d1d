"""Who came from where lately: whose keys are tried first."""

from __future__ import annotations

MOST_SOURCES = 8192  # addresses whose users are remembered
MOST_USERS = 4  # of one address


class Visitors:
    """The users who came last from each address (vpn.proxy.accounts.source_key)."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, ...]] = {}

    def recent(self, source: int) -> tuple[str, ...]:
        """Who came last from this address, the latest first."""
        return self._seen.get(source, ())

    def remember(self, source: int, user: str) -> None:
        """This user came from there."""
        seen = self._seen.pop(source, ())
        if not seen or seen[0] != user:
            seen = (user, *[each for each in seen if each != user])[:MOST_USERS]
            if len(self._seen) >= MOST_SOURCES:
                del self._seen[next(iter(self._seen))]
        self._seen[source] = seen
