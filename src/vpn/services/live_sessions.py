"""The live sessions of all workers, at most a second old, and what is new about sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vpn.domain.session import Session
from vpn.proxy.control import Report


class Change(NamedTuple):
    """What a session has moved since it was last heard of; if it has ended, the rest."""

    session: Session
    sent: int
    received: int


class News(NamedTuple):
    """What is new about the sessions of one worker."""

    worker: int
    began: list[Session]
    """Live ones that were not heard of before."""
    moved: list[Change]
    """Live ones."""
    ended: list[Change]
    """Complete ones. Most have never been live here: they were shorter than the time between two reports."""


class LiveSessions:
    """All live sessions, by worker and identifier."""

    def __init__(self) -> None:
        self._workers: dict[int, dict[int, Session]] = {}
        self._gone: dict[int, dict[int, Session]] = {}
        """By worker: those that were live when it went, until their end is heard of."""

    def __len__(self) -> int:
        return sum(map(len, self._workers.values()))

    def __iter__(self) -> Iterator[Session]:
        for live in self._workers.values():
            yield from list(live.values())

    def get(self, number: int) -> Session | None:
        """One of them, if it is live."""
        return next((live[number] for live in self._workers.values() if number in live), None)

    def hear(self, worker: int, report: Report, ended: list[Session]) -> News:
        """Take what is new: the report's live sessions, without those that ended."""
        live = self._workers.setdefault(worker, {})
        if report.whole:
            there = {session.id for session in report.live} | {session.id for session in ended}
            for number in live.keys() - there:
                del live[number]
        began: list[Session] = []
        moved: list[Change] = []
        for session in report.live:
            before = live.get(session.id)
            live[session.id] = session
            if before is None:
                began.append(session)
            moved.append(_change(session, before))
        for each in report.moved:
            session_ = live.get(each.id)
            if session_ is not None:
                sent, received = each.bytes_sent - session_.bytes_sent, each.bytes_received - session_.bytes_received
                session_.bytes_sent = each.bytes_sent
                session_.bytes_received = each.bytes_received
                session_.packets_sent = each.packets_sent
                session_.packets_received = each.packets_received
                moved.append(Change(session_, sent, received))
        gone = self._gone.get(worker)
        if gone:
            live |= {session.id: gone.pop(session.id) for session in ended if session.id in gone}
        over = [
            _change(session, live.pop(session.id))
            if session.id in live
            else Change(session, session.bytes_sent, session.bytes_received)
            for session in ended
        ]
        return News(worker, began, moved, over)

    def take(self, worker: int) -> list[Session]:
        """The live sessions of a worker that is gone; they are not here any more."""
        self._gone[worker] = self._workers.pop(worker, {})
        return list(self._gone[worker].values())


def _change(session: Session, before: Session | None) -> Change:
    if before is None:
        return Change(session, session.bytes_sent, session.bytes_received)
    return Change(session, session.bytes_sent - before.bytes_sent, session.bytes_received - before.bytes_received)
