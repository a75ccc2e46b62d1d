"""Sessions that ended, and how far live ones have come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy

import msgspec
from sqlalchemy import delete, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.errors import Unavailable
from vpn.domain.rollups import Stored
from vpn.domain.session import Session
from vpn.domain.session_query import Page, SessionQuery
from vpn.store.database import Database
from vpn.store.session_rows import COLUMNS, LISTED, clean, row_of, session_of
from vpn.store.session_search import Search
from vpn.store.session_segments import INDEXES, SMALLEST, Segments
from vpn.store.session_trim import sweep, trim
from vpn.store.tables import journals, sessions_live

_CHUNK = 500
_STEP = 5000  # sessions of a daemon that died, closed in a transaction
_LAG = 4  # full segments without indexes that wait for a quiet moment


class Batch(msgspec.Struct, frozen=True):
    """What was read from one journal, up to a position."""

    journal: int
    """Its generation."""
    end: int
    sessions: list[Session]


Tally = Callable[[AsyncConnection, Sequence[Stored]], Awaitable[None]]
"""Called in the transaction that stores sessions, once with all of them; each ended one comes exactly once."""


class SessionStore:
    """Writes and tells sessions. It is the only one that writes them.

    Args:
        tally: counts what is stored, in the same transaction.
        segment: rows in a table of those that sessions are stored in, at least.
    """

    def __init__(self, database: Database, tally: Tally | None = None, *, segment: int = SMALLEST) -> None:
        self._database = database
        self._tally = tally
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self.written = 0
        """Sessions that ended and were stored since the start."""
        self._segments = Segments(is_sqlite=database.is_sqlite, smallest=segment)
        self._order = asyncio.Lock()
        self._live: dict[int, tuple[int, int]] | None = None
        """Sessions in `sessions_live`, and the bytes sent and received there; None: to be read."""
        self._told: dict[int, tuple[int, int]] = {}
        """The same, as it was known last."""
        self._reached: dict[int, int] = {}
        self.version = 0
        """It is odd while something is being committed, and another one afterwards."""

    def told(self, number: int) -> tuple[int, int]:
        """Bytes of a live session, by its identifier, that are stored, and in the sums: sent and received."""
        return self._told.get(number, (0, 0))

    def reached(self, journal: int) -> int:
        """How far a journal has been stored, as far as that is known; 0: it is not."""
        return self._reached.get(journal, 0)

    async def write(self, batches: Sequence[Batch]) -> None:
        """Store sessions that ended; batches that were stored before are left out.

        Raises:
            Unavailable: the store cannot be reached. Whether it was written is not known: write the same again.
        """
        await self._retry(lambda careful: self._write(batches, careful=careful))

    async def checkpoint(self, live: Sequence[Session]) -> None:
        """Store how far live sessions have come, those with an identifier.

        Raises:
            Unavailable: the store cannot be reached.
        """
        now = [copy(session) for session in live]  # they move on while this is written
        await self._retry(lambda careful: self._checkpoint(now, careful=careful))

    async def close_active(self, reason: str, now: float) -> None:
        """Nothing is live any more: close what is stored as such, in steps.

        Raises:
            Unavailable: the store cannot be reached.
        """
        while True:
            async with self._writing() as connection:
                query = text(f"SELECT {LISTED} FROM sessions_live ORDER BY id LIMIT {_STEP}")
                sessions = [session_of(row) for row in await connection.execute(query)]
                for session in sessions:
                    session.end("closed", reason, now)
                await self._forget_live(connection, [session.id for session in sessions])
                segments = await self._segments.add(connection, sessions)
                if self._tally is not None and sessions:
                    await self._tally(connection, [Stored(session, 0, 0) for session in sessions])
            self._segments.know(segments)
            self._live = None
            if len(sessions) < _STEP:
                return

    async def position(self, journal: int) -> int:
        """How far a journal has been stored."""
        async with self._database.begin() as connection:
            found = await connection.scalar(select(journals.c.position).where(journals.c.journal == journal))
            return int(found or 0)

    async def forget(self, journal: int) -> None:
        """A journal is stored to its end, and is no more."""
        async with self._database.begin_writing() as connection:
            await connection.execute(delete(journals).where(journals.c.journal == journal))

    async def get(self, number: int) -> Session | None:
        """One session."""
        async with self._searching() as search:
            return await search.get(number)

    async def page(self, query: SessionQuery) -> Page:
        """Sessions as asked for, with how many there are in all where no position is asked for.

        Raises:
            Invalid: there is too much to sort.
            Unavailable: the store cannot be reached.
        """
        async with self._searching() as search:
            return await search.page(query)

    async def stream(self, query: SessionQuery) -> AsyncIterator[list[Session]]:
        """All sessions as asked for, in pieces of `limit`; between two of them nothing is held.

        Raises:
            As `page`.
        """
        while True:
            async with self._searching() as search:
                page = await search.page(query, count=False)
            if page.sessions:
                yield page.sessions
            if page.next is None:
                return
            query = msgspec.structs.replace(query, after=page.next, offset=0)

    async def tend(self, *, busy: bool) -> bool:
        """Give one full segment its indexes, if there is one; returns whether there was.

        Args:
            busy: leave it for later, unless many wait.

        Raises:
            Unavailable: the store cannot be reached.
        """
        async with self._database.begin() as connection:
            full = [each for each in (await self._segments.load(connection))[:-1] if not each.sealed]
        if not full or (busy and len(full) < _LAG):
            return False
        for name in INDEXES:
            async with self._writing() as connection:
                await self._segments.index(connection, full[0], name)
        async with self._writing() as connection:
            current = await self._segments.load(connection)
            segment = next((each for each in current if each.number == full[0].number), None)
            segments = current if segment is None else await self._segments.seal(connection, segment)
        self._segments.know(segments)
        return True

    async def trim(self, oldest: int, most: int) -> int:
        """Take one step in removing what is too old or too much; returns how many went, 0 if there is no more.

        Args:
            oldest: the least identifier that is kept.
            most: the sessions that are kept; 0: any number.

        Raises:
            Unavailable: the store cannot be reached.
        """
        async with self._writing() as connection:
            removed, segments = await trim(connection, self._segments, oldest, most)
        self._segments.know(segments)
        async with self._writing() as connection:
            await sweep(connection, self._segments)
        return removed

    async def _retry(self, work: Callable[[bool], Awaitable[None]]) -> None:
        """Do it; if the database refuses a value, or has one already, do it again with care."""
        try:
            await work(False)
        except IntegrityError:
            await work(True)
        except Unavailable as error:
            if not isinstance(error.__cause__, DataError):
                raise
            await work(True)

    async def _write(self, batches: Sequence[Batch], *, careful: bool) -> None:
        async with self._writing() as connection:
            known = await self._known_live(connection)
            sessions = await self._new(connection, batches)
            if careful:
                for session in sessions:
                    clean(session)
                sessions = await self._segments.without_known(connection, sessions)
            segments = await self._segments.add(connection, sessions)
            ended = [session.id for session in sessions if session.id in known] if known else []
            await self._forget_live(connection, ended)
            if self._tally is not None and sessions:
                await self._tally(connection, [_change(session, known) for session in sessions])
        self._segments.know(segments)
        self.written += len(sessions)
        for number in ended:
            del known[number]
        self._know_live(known)
        for batch in batches:
            self._reached[batch.journal] = max(batch.end, self.reached(batch.journal))

    async def _new(self, connection: AsyncConnection, batches: Sequence[Batch]) -> list[Session]:
        """The sessions of batches that were not stored, which they are now."""
        sessions: list[Session] = []
        for batch in batches:
            done = await connection.scalar(select(journals.c.position).where(journals.c.journal == batch.journal))
            if done is None or done < batch.end:
                sessions += batch.sessions
                row = {"journal": batch.journal, "position": batch.end}
                statement = self._insert(journals).values(row)
                await connection.execute(
                    statement.on_conflict_do_update(index_elements=["journal"], set_={"position": batch.end})
                )
        return sessions

    async def _checkpoint(self, live: Sequence[Session], *, careful: bool) -> None:
        async with self._writing() as connection:
            known = await self._known_live(connection)
            stored = []
            for session in live if careful else ():
                clean(session)
            for session in live:
                change = _change(session, known)
                if session.id and (session.id not in known or change.sent or change.received):
                    stored.append(change)
            for start in range(0, len(stored), _CHUNK):
                await self._put_live(connection, [each.session for each in stored[start : start + _CHUNK]])
            if self._tally is not None and stored:
                await self._tally(connection, stored)
            after = {each.session.id: (each.session.bytes_sent, each.session.bytes_received) for each in stored}
        self._know_live(known | after)

    def _know_live(self, live: dict[int, tuple[int, int]]) -> None:
        self._live = self._told = live

    async def _known_live(self, connection: AsyncConnection) -> dict[int, tuple[int, int]]:
        if self._live is not None:
            return self._live
        columns = sessions_live.c
        rows = await connection.execute(select(columns.id, columns.bytes_sent, columns.bytes_received))
        return {number: (sent, received) for number, sent, received in rows}

    async def _put_live(self, connection: AsyncConnection, sessions: Sequence[Session]) -> None:
        statement = self._insert(sessions_live)
        changed = {name: statement.excluded[name] for name in COLUMNS if name != "id"}
        rows = [dict(zip(COLUMNS, row_of(session), strict=True)) for session in sessions]
        await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed), rows)

    async def _forget_live(self, connection: AsyncConnection, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), _CHUNK):
            some = numbers[start : start + _CHUNK]
            await connection.execute(delete(sessions_live).where(sessions_live.c.id.in_(some)))

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """One after the other; where one fails, what was known is read again."""
        async with self._order:
            try:
                async with self._database.begin_writing() as connection:
                    yield connection
                    self.version += 1
            except BaseException:
                self._live = None
                self._segments.know(None)
                raise
            finally:
                self.version += self.version % 2

    @asynccontextmanager
    async def _searching(self) -> AsyncIterator[Search]:
        async with self._database.begin() as connection:
            segments = await self._segments.load(connection)
            with self._segments.hold(segments):
                yield Search(connection, segments, is_sqlite=self._database.is_sqlite)


def _change(session: Session, known: dict[int, tuple[int, int]]) -> Stored:
    if session.id not in known:
        return Stored(session, session.bytes_sent, session.bytes_received)
    sent, received = known[session.id]
    return Stored(session, session.bytes_sent - sent, session.bytes_received - received)
