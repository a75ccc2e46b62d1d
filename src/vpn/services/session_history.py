"""Sessions as people ask for them: past ones, and live ones beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec

from vpn.domain.errors import NotFound
from vpn.domain.session import LARGEST_ID, Session, parse_id, show_id
from vpn.domain.session_query import LARGEST_PAGE, Page, Position, SessionRequest, parse_query
from vpn.services.live_sessions import LiveSessions
from vpn.services.session_writer import SessionWriter
from vpn.store.sessions import SessionStore


class SessionHistory:
    """Tells sessions that ended, and live ones.

    Args:
        writer: brings the store up to date before it is asked.
        clock: seconds since the epoch.
    """

    def __init__(
        self, store: SessionStore, live: LiveSessions, writer: SessionWriter, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._live = live
        self._writer = writer
        self._clock = clock

    async def page(self, request: SessionRequest) -> Page:
        """Sessions as asked for.

        Raises:
            Invalid: the request makes no sense, or there is too much to sort.
            Unavailable: the store cannot be reached.
        """
        query = parse_query(request, self._clock())
        if query.after is None:
            await self._writer.settle()
        page = await self._store.page(query)
        return page._replace(sessions=[self._as_it_is(session) for session in page.sessions])

    async def get(self, text: str) -> Session:
        """A session by its identifier in text, live or past.

        Raises:
            Invalid: the text is no identifier.
            NotFound: nobody knows the session.
            Unavailable: the store cannot be reached.
        """
        number = parse_id(text)
        session = self._live.get(number)
        if session is None:
            await self._writer.settle()
            session = await self._store.get(number)
        if session is None:
            raise NotFound(
                "session_unknown", f"there is no session {show_id(number)}", "see which there are: vpn sessions list"
            )
        return session

    async def stream(self, request: SessionRequest, *, limit: int = 0, after: str = "") -> AsyncIterator[list[Session]]:
        """All sessions as asked for, the newest first, in pieces.

        Args:
            request: of it, only the filters matter.
            limit: how many, at most; 0: all.
            after: the identifier, in text, of the session to go on behind.

        Raises:
            As `page`.
        """
        query = parse_query(msgspec.structs.replace(request, page=1, page_size=LARGEST_PAGE), self._clock())
        if after:
            number = parse_id(after)
            query = msgspec.structs.replace(query, after=Position(number, number))
        else:
            await self._writer.settle()
        left = limit or LARGEST_ID
        async for piece in self._store.stream(query):
            yield [self._as_it_is(session) for session in piece[:left]]
            left -= len(piece)
            if left <= 0:
                return

    def _as_it_is(self, session: Session) -> Session:
        """What lasts has moved on since it was stored."""
        return (self._live.get(session.id) or session) if session.status == "active" else session
