"""What sessions have come to that is not stored yet: live ones, and those that ended a moment ago."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vpn.domain.rollups import Stored
from vpn.domain.session import Session
from vpn.services.live_sessions import LiveSessions
from vpn.store.sessions import SessionStore


class Unstored:
    """Each session with what it has moved since it was stored: what statistics are short of.

    What waits on disk, since the store is away or far behind, is not in it.

    Args:
        waiting: tells the sessions that ended, and wait in memory.
    """

    def __init__(
        self, live: LiveSessions, store: SessionStore, waiting: Callable[[], Iterable[Session]] = tuple
    ) -> None:
        self._live = live
        self._store = store
        self._waiting = waiting

    @property
    def active(self) -> int:
        """How many sessions are live."""
        return len(self._live)

    @property
    def version(self) -> int:
        """As `SessionStore.version`: what is read from the store goes with this while it is the same, and even."""
        return self._store.version

    def __iter__(self) -> Iterator[Stored]:
        for sessions in (self._live, self._waiting()):
            for session in sessions:
                sent, received = self._store.told(session.id)
                yield Stored(session, max(0, session.bytes_sent - sent), max(0, session.bytes_received - received))
