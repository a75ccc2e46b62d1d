"""What workers tell about sessions, passed on to everybody who wants to know."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from vpn.domain.session import Session
from vpn.proxy.control import Report
from vpn.proxy.journal import Journal
from vpn.services.live_sessions import LiveSessions, News
from vpn.services.session_writer import SessionWriter

Observer = Callable[[News], None]
"""Hears what is new about sessions. It must be quick: there are twenty thousand in a second at times."""


class SessionFeed:
    """Keeps the live sessions, tells the observers, and gives those that ended to the writer.

    Args:
        writer: stores sessions that ended; None: nobody does.
    """

    def __init__(self, live: LiveSessions, writer: SessionWriter | None) -> None:
        self._live = live
        self._writer = writer
        self._observers: list[Observer] = []
        self._defective: set[Observer] = set()

    def tell(self, observer: Observer) -> None:
        """Tell this one, too."""
        self._observers.append(observer)

    def hear(self, worker: int, report: Report, ended: list[Session], journal: Journal) -> None:
        """A worker reported."""
        news = self._live.hear(worker, report, ended)
        if self._writer is None:
            journal.take(journal.read_to)
        elif ended:
            self._writer.take(journal, ended)
        for observer in self._observers:
            try:
                observer(news)
            except Exception as error:
                self._complain(observer, error)

    def orphans(self, worker: int) -> list[Session]:
        """A worker is gone."""
        return self._live.take(worker)

    def _complain(self, observer: Observer, error: Exception) -> None:
        """Who has a defect keeps neither the others from hearing nor sessions from being stored; say so once."""
        if observer not in self._defective:
            self._defective.add(observer)
            structlog.get_logger("sessions").error("defect in what observes sessions", exc_info=error)
