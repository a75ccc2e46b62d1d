"""How fast bytes move just now: by session, user and destination; and who was refused lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple, TypeVar

from vpn.domain.session import Session
from vpn.services.live_sessions import News

WINDOWS = 2  # over which a rate is taken: workers report twice in a window, give or take one
MOST_NAMES = 10_000  # users, destinations and sessions told apart in one window
MOST_REFUSED = 50


class Rate(NamedTuple):
    """Bytes per second."""

    sent: float
    received: float

    @property
    def total(self) -> float:
        """In both directions."""
        return self.sent + self.received


NO_RATE = Rate(0.0, 0.0)
_Moved = dict[str, list[int]]
_Key = TypeVar("_Key", str, int)


class _Window:
    """What was moved between two moments."""

    __slots__ = ("began", "destinations", "ended", "sessions", "users")

    def __init__(self, began: float) -> None:
        self.began = began
        self.ended = began
        self.sessions: dict[int, list[int]] = {}
        self.users: _Moved = {}
        self.destinations: _Moved = {}


class Traffic:
    """An observer of sessions (vpn.services.session_feed). Call `turn` once a second.

    Args:
        clock: seconds, never set back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._current = _Window(clock())
        self._complete: deque[_Window] = deque(maxlen=WINDOWS)
        self.rejected = 0
        """Sessions that were refused, by rules or because of their destination, since the daemon started."""
        self.refused: deque[Session] = deque(maxlen=MOST_REFUSED)
        """The last of these."""

    def hear(self, news: News) -> None:
        """Take what was moved."""
        window = self._current
        sessions, users, destinations = window.sessions, window.users, window.destinations
        for session, sent, received in chain(news.moved, news.ended):
            if sent or received:
                user, host = session.user, session.host
                if user in users and host in destinations:  # nearly always: a call for each would cost as much again
                    found = users[user]
                    found[0] += sent
                    found[1] += received
                    found = destinations[host]
                    found[0] += sent
                    found[1] += received
                else:
                    _add(users, user, sent, received)
                    _add(destinations, host, sent, received)
                if not session.ended:
                    _add(sessions, session.id, sent, received)
            if session.status == "rejected_by_acl":
                self.rejected += 1
                self.refused.append(session)

    def turn(self) -> None:
        """A window ends, and another one begins."""
        self._current.ended = now = self._clock()
        self._complete.append(self._current)
        self._current = _Window(now)

    def of(self, session: int) -> Rate:
        """Of a live session."""
        found = [moved for window in self._complete if (moved := window.sessions.get(session)) is not None]
        return self._rate(found) if found else NO_RATE

    def users(self) -> dict[str, Rate]:
        """By user, of those who move something."""
        return self._rates([window.users for window in self._complete])

    def destinations(self) -> dict[str, Rate]:
        """By the host that clients asked for, of those from or to which something moves."""
        return self._rates([window.destinations for window in self._complete])

    def total(self) -> Rate:
        """Of all together."""
        return self._rate(moved for window in self._complete for moved in window.users.values())

    def _rates(self, windows: list[_Moved]) -> dict[str, Rate]:
        names = dict.fromkeys(name for window in windows for name in window)
        return {name: self._rate(window[name] for window in windows if name in window) for name in names}

    def _rate(self, moved: Iterable[list[int]]) -> Rate:
        seconds = sum(window.ended - window.began for window in self._complete) or 1.0
        sent = received = 0
        for each in moved:
            sent += each[0]
            received += each[1]
        return Rate(sent / seconds, received / seconds)


def _add(names: dict[_Key, list[int]], name: _Key, sent: int, received: int) -> None:
    found = names.get(name)
    if found is not None:
        found[0] += sent
        found[1] += received
    elif len(names) < MOST_NAMES:
        names[name] = [sent, received]
