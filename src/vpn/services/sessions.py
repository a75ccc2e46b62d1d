"""Live sessions: shown, and closed because somebody says so."""

from __future__ import annotations

import structlog

from vpn.domain.errors import Invalid, NotFound, Unavailable
from vpn.domain.session import Session, parse_id, show_id
from vpn.proxy.supervisor import Supervisor
from vpn.services.live_sessions import LiveSessions
from vpn.services.session_filter import ALL, LiveSession, SessionFilter, SortColumn, in_order, session_filter
from vpn.services.traffic import Traffic

REASON = "terminated"
"""Why a session ended that was closed here."""


class SessionService:
    """The live sessions of all workers. Without a data plane there are none."""

    def __init__(self, live: LiveSessions, traffic: Traffic) -> None:
        self._live = live
        self._traffic = traffic
        self._supervisor: Supervisor | None = None
        self._closed: set[int] = set()
        """Live ones that are closed, of which the worker will tell in a moment."""

    def run(self, supervisor: Supervisor) -> None:
        """These workers have them, from now on."""
        self._supervisor = supervisor

    def active(
        self,
        wanted: SessionFilter = ALL,
        *,
        sort_by: SortColumn = "start_time",
        descending: bool = True,
        limit: int | None = None,
    ) -> list[LiveSession]:
        """The live sessions that are meant, at most `limit`, as they were at most a second ago."""
        found = list(self._live)
        if self._closed:
            self._hide([])
            found = [each for each in found if each.id not in self._closed]
        if wanted != ALL:
            found = [each for each in found if wanted.matches(each)]
        rated = [LiveSession(each, self._traffic.of(each.id)) for each in found]
        return in_order(rated, sort_by, descending=descending)[:limit]

    async def terminate(self, id: str, *, by: str) -> Session:
        """Close a session; when this returns, it is closed. `by` is who asked, for the log.

        Raises:
            Invalid: this is no identifier.
            NotFound: no such session is live.
            Unavailable: its worker does not answer.
        """
        number = parse_id(id)
        session = self._live.get(number)
        if session is None or number in self._closed:
            raise _unknown(id)
        # While it is waited for, the session may end and be told as such: who it was is taken now.
        found = {"session": show_id(number), "user": session.user, "destination": session.host}
        closed = await self._serving().cut(REASON, ids=[number])
        self._audit(by, closed.sessions, found)
        if not closed.sessions:
            if not closed.silent or self._live.get(number) is None:  # it has ended, and that will be told in a moment
                raise _unknown(id)
            raise Unavailable(
                "not_closed", f"session {id} could not be closed", "its worker does not answer; see: vpn status"
            )
        self._hide([number])
        return session

    async def terminate_many(self, *, user: str = "", destination: str = "", by: str) -> int:
        """Close the sessions of this user to this destination; returns how many. `by` is who asked, for the log.

        Raises:
            Invalid: neither is given, or `destination` is no pattern (vpn.domain.destination).
        """
        wanted = session_filter(user, destination)
        if not wanted.user and wanted.destination is None:
            raise Invalid("nobody_meant", "no user and no destination is given", "say whose sessions, or where to")
        meant = [each.id for each in self._live if wanted.matches(each)]
        closed = await self._serving().cut(REASON, user=wanted.user, destination=destination)
        self._audit(by, closed.sessions, {"user": user, "destination": destination})
        if closed.sessions:
            self._hide(meant)
        return closed.sessions

    def _hide(self, numbers: list[int]) -> None:
        """Show these no more; those that nobody would show anyway are forgotten."""
        self._closed = {number for number in self._closed.union(numbers) if self._live.get(number) is not None}

    def _serving(self) -> Supervisor:
        if self._supervisor is None:
            raise Unavailable("not_serving", "no daemon is running", "start one with: vpn serve")
        return self._supervisor

    def _audit(self, by: str, closed: int, whose: dict[str, str]) -> None:
        said = {key: value for key, value in whose.items() if value}
        structlog.get_logger("audit").info("sessions terminated", by=by, sessions=closed, **said)


def _unknown(id: str) -> NotFound:
    return NotFound("session_unknown", f"no session {id} is live", "list them with: vpn sessions list --live")
