"""What happens, for those who want to be told at once: sessions that begin, move and end, and the counters.

Everything is told once a second, and bounded: of what is too much only the number is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from vpn.domain.session import Session
from vpn.services.live_sessions import LiveSessions, News
from vpn.services.overview import Counters
from vpn.services.session_filter import ALL, LiveSession, SessionFilter
from vpn.services.traffic import Traffic

MOST = 200  # sessions of each kind that are told at a time
MOST_AT_FIRST = 1000  # live ones, to a new listener

Topic = Literal["sessions", "counters", "telemetry"]
Put = Callable[[Mapping[str, Any]], None]
Show = Callable[[LiveSession], Any]
"""What is told of a session."""


class _Listener:
    """One who listens to sessions, and what is to be told next."""

    def __init__(self, put: Put, wanted: SessionFilter, live: Iterable[Session]) -> None:
        self.put = put
        self.wanted = wanted
        # Whose user, destination or bytes are known later may be wanted only then.
        self.known = None if wanted == ALL else {each.id for each in live if wanted.matches(each)}
        self.began: dict[int, Session] = {}
        self.moved: dict[int, Session] = {}
        self.ended: list[Session] = []
        self.missed = {"began": 0, "ended": 0}

    def hear(self, news: News) -> None:
        for session in news.began:
            if self.wanted.matches(session):
                self._begin(session)
        for change in news.moved:
            self.moved[change.session.id] = change.session
        for change in news.ended:
            session = change.session
            self.moved.pop(session.id, None)
            if self.known is not None:
                self.known.discard(session.id)
            if self.wanted.matches(session):
                if len(self.ended) < MOST:
                    self.ended.append(session)
                else:
                    self.missed["ended"] += 1

    def _begin(self, session: Session) -> None:
        if self.known is not None:
            self.known.add(session.id)
        if len(self.began) < MOST:
            self.began[session.id] = session
        else:
            self.missed["began"] += 1

    def tell(self, show: Show, traffic: Traffic) -> None:
        """Tell what there is."""
        wanted = [each for each in self.moved.values() if self.wanted.matches(each)]
        if self.known is not None:
            for session in wanted:
                if session.id not in self.known:
                    self._begin(session)
        began, ended = self.began, self.ended
        moved = [each for each in wanted if each.id not in began]
        rated = sorted((LiveSession(each, traffic.of(each.id)) for each in moved), key=_total, reverse=True)
        missed = self.missed | {"updated": max(0, len(rated) - MOST)}
        if began or ended or rated:
            self.put(
                {
                    "topic": "sessions",
                    "began": [show(LiveSession(each, traffic.of(each.id))) for each in began.values()],
                    "updated": [show(each) for each in rated[:MOST]],
                    "ended": [show(LiveSession(each, traffic.of(each.id))) for each in ended],
                    "not_told": missed,
                }
            )
        self.began, self.moved, self.ended, self.missed = {}, {}, [], {"began": 0, "ended": 0}


class LiveEvents:
    """Tells listeners. It is an observer of sessions (vpn.services.session_feed); call `turn` once a second."""

    def __init__(self, live: LiveSessions, traffic: Traffic, counters: Callable[[], Counters]) -> None:
        self._live = live
        self._traffic = traffic
        self._counters = counters
        self._sessions: dict[_Listener, Show] = {}
        self._counting: set[Put] = set()
        self.telemetry: Callable[[Put], Callable[[], None]] | None = None
        """Subscribes to what is noteworthy, where there is something that tells it."""

    def hear(self, news: News) -> None:
        """Take what is new about sessions."""
        for listener in self._sessions:
            listener.hear(news)

    def turn(self) -> None:
        """Tell everybody."""
        for listener, show in self._sessions.items():
            listener.tell(show, self._traffic)
        if self._counting:
            event = self._counted()
            for put in self._counting:
                put(event)

    def subscribe(self, put: Put, topics: Iterable[Topic], show: Show, wanted: SessionFilter) -> Callable[[], None]:
        """Tell these topics from now on; returns how to stop that."""
        leaving: list[Callable[[], None]] = []
        if "sessions" in topics:
            listener = _Listener(put, wanted, self._live)
            self._sessions[listener] = show
            leaving.append(lambda: self._sessions.pop(listener, None) and None)
        if "counters" in topics:
            self._counting.add(put)
            leaving.append(lambda: self._counting.discard(put))
        if "telemetry" in topics and self.telemetry is not None:
            leaving.append(self.telemetry(lambda event: put({"topic": "telemetry", **event})))

        def leave() -> None:
            for each in leaving:
                each()

        return leave

    def first(self, topics: Iterable[Topic], show: Show, wanted: SessionFilter = ALL) -> list[Mapping[str, Any]]:
        """How things are when somebody begins to listen."""
        told: list[Mapping[str, Any]] = []
        if "sessions" in topics:
            live = [LiveSession(each, self._traffic.of(each.id)) for each in self._live if wanted.matches(each)]
            newest = sorted(live, key=lambda each: each.session.id, reverse=True)[:MOST_AT_FIRST]
            told.append(
                {
                    "topic": "sessions",
                    "live": [show(each) for each in newest],
                    "not_told": {"live": len(live) - len(newest)},
                }
            )
        if "counters" in topics:
            told.append(self._counted())
        return told

    def _counted(self) -> Mapping[str, Any]:
        counters = self._counters()
        fields = msgspec.structs.asdict(counters) | {"time": datetime.fromtimestamp(counters.time, UTC)}
        return {"topic": "counters", **fields}


def _total(live: LiveSession) -> float:
    return live.rate.total
