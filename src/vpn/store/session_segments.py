"""Where sessions that ended are: in segments, tables of some ten thousand rows each, one after the other in time.

Rows go into a table without indexes, which is cheap; a table that is full is followed by the next one, and gets its
indexes all at once (`seal`), when there is time. Built so they cost a tenth of what keeping them up to date for each
row would: a session's user, destination and bytes are anywhere in an index, and each of its pages would be written
for a row or two. A segment has the sessions whose identifiers are from its `first_id` on up to that of the next one,
so the order of segments is that of time, a span of time is a few segments, and what is too old is dropped as a table.

Searching looks at one segment after the other (vpn.store.session_search): by its indexes, or, where it has none yet,
row by row, which takes a tenth of a microsecond for each.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateTable

from vpn.domain.session import LARGEST_ID, Session
from vpn.store.session_rows import RowWriter, table_named
from vpn.store.tables import session_segments

SMALLEST = 50_000
LARGEST = 200_000
_SHARE = 20  # of all rows, a segment has one in so many, within these bounds
_STEP = 500  # sessions, or terms, in a statement

INDEXES: Mapping[str, str] = {
    "user": '("user", id)',
    "host": "(host, id)",
    "address_key": "(address_key, id)",
    "inbound": "(inbound, id)",
    # Nearly all sessions are closed ones, which are found without. The others can be sorted without being looked up.
    "status": "(status, id, duration, bytes_sent, bytes_received) WHERE status <> 'closed'",
    "duration": "(duration, id)",
    "bytes_sent": "(bytes_sent, id)",
    "bytes_received": "(bytes_received, id)",
}
"""The indexes of a sealed segment. SQLite has `id` in each of them without being told."""


class Segment(msgspec.Struct, frozen=True):
    """One table of sessions that ended."""

    number: int
    first_id: int
    last_id: int
    """The greatest that was stored in it."""
    rows: int
    sealed: bool

    @property
    def table(self) -> str:
        """The table's name."""
        return f"sessions_{self.number}"


class Placed(NamedTuple):
    """Sessions, and the segment that they belong to."""

    segment: Segment
    sessions: Sequence[Session]


class Segments:
    """The segments there are, the oldest first; the last one is open.

    Methods that write take a connection in a transaction and answer with the segments as they then are, which the
    caller makes known (`know`) once the transaction is over. One does so at a time.

    Args:
        smallest: rows of a segment, at least.
    """

    def __init__(self, *, is_sqlite: bool, smallest: int = SMALLEST) -> None:
        self._is_sqlite = is_sqlite
        self._smallest = smallest
        self._rows = RowWriter(is_sqlite=is_sqlite)
        self._known: tuple[Segment, ...] | None = None
        self._held: list[tuple[Segment, ...]] = []

    async def load(self, connection: AsyncConnection) -> tuple[Segment, ...]:
        """All that are read."""
        if self._known is None:
            columns = [session_segments.c[name] for name in Segment.__struct_fields__]
            query = select(*columns).where(session_segments.c.dropped.is_(False)).order_by(session_segments.c.first_id)
            found = tuple(Segment(*row) for row in await connection.execute(query))
            if self._known is None:  # nobody has written in the meantime
                self._known = found
        return self._known

    def know(self, segments: tuple[Segment, ...] | None) -> None:
        """These are the segments from now on; None: they are to be read again."""
        self._known = segments

    @contextmanager
    def hold(self, segments: tuple[Segment, ...]) -> Iterator[None]:
        """Keep the tables of these from being removed."""
        self._held.append(segments)
        try:
            yield
        finally:
            self._held.remove(segments)

    def is_held(self, number: int) -> bool:
        """Whether somebody reads a segment."""
        return any(segment.number == number for held in self._held for segment in held)

    async def add(self, connection: AsyncConnection, sessions: Sequence[Session]) -> tuple[Segment, ...]:
        """Insert sessions where they belong."""
        segments = list(await self.load(connection))
        if not segments:
            segments = [await self._begin(connection, 1, 0)]
        for segment, some in _place(segments, sessions):
            await self._rows.insert(connection, segment.table, some)
            if segment.sealed:
                await self._note(connection, segment.number, some)
            grown = msgspec.structs.replace(
                segment,
                rows=segment.rows + len(some),
                last_id=max(segment.last_id, *(session.id for session in some)),
            )
            await save(connection, grown)
            segments[segments.index(segment)] = grown
        last = segments[-1]
        if last.rows >= self._full(segments):
            segments.append(await self._begin(connection, last.number + 1, last.last_id + 1))
        return tuple(segments)

    async def without_known(self, connection: AsyncConnection, sessions: Sequence[Session]) -> list[Session]:
        """Those of these that are not stored yet, each once."""
        fresh = {session.id: session for session in sessions}
        for segment, some in _place(await self.load(connection), sessions):
            for start in range(0, len(some), _STEP):
                numbers = [session.id for session in some[start : start + _STEP]]
                columns = table_named(segment.table).c
                for number in await connection.scalars(select(columns.id).where(columns.id.in_(numbers))):
                    fresh.pop(number, None)
        return list(fresh.values())

    async def index(self, connection: AsyncConnection, segment: Segment, name: str) -> None:
        """Make one of the `INDEXES` of a segment, unless it has it."""
        statement = f"CREATE INDEX IF NOT EXISTS ix_{segment.table}_{name} ON {segment.table} {INDEXES[name]}"
        await connection.execute(text(statement))

    async def seal(self, connection: AsyncConnection, segment: Segment) -> tuple[Segment, ...]:
        """A segment has all its indexes: note the terms in it, and say so."""
        for kind, column in (("user", '"user"'), ("host", "host")):
            statement = f"""
                INSERT INTO session_terms (kind, term, segment)
                SELECT DISTINCT '{kind}', {column}, {segment.number} FROM {segment.table} WHERE {column} <> ''
                ON CONFLICT (kind, term) DO UPDATE SET segment = {_greater(self._is_sqlite)}"""
            await connection.execute(text(statement))
        if not self._is_sqlite:
            await connection.execute(text(f"ANALYZE {segment.table}"))
        sealed = msgspec.structs.replace(segment, sealed=True)
        await save(connection, sealed)
        return tuple(sealed if each is segment else each for each in await self.load(connection))

    async def _note(self, connection: AsyncConnection, number: int, sessions: Sequence[Session]) -> None:
        terms = sorted({("user", each.user) for each in sessions} | {("host", each.host) for each in sessions})
        statement = f"""
            INSERT INTO session_terms (kind, term, segment) VALUES (:kind, :term, :segment)
            ON CONFLICT (kind, term) DO UPDATE SET segment = {_greater(self._is_sqlite)}"""
        for start in range(0, len(terms), _STEP):
            rows = [{"kind": kind, "term": term, "segment": number} for kind, term in terms[start : start + _STEP]]
            await connection.execute(text(statement), rows)

    def _full(self, segments: Sequence[Segment]) -> int:
        """Rows after which a segment is full: more where there are many, so that there are not too many tables."""
        return min(max(self._smallest, sum(segment.rows for segment in segments) // _SHARE), LARGEST)

    async def _begin(self, connection: AsyncConnection, number: int, first_id: int) -> Segment:
        segment = Segment(number, first_id, first_id, 0, False)
        await connection.execute(CreateTable(table_named(segment.table)))
        await connection.execute(insert(session_segments).values(**msgspec.structs.asdict(segment), dropped=False))
        return segment


async def save(connection: AsyncConnection, segment: Segment) -> None:
    """Store what has changed of a segment."""
    fields = msgspec.structs.asdict(segment)
    statement = update(session_segments).where(session_segments.c.number == fields.pop("number"))
    await connection.execute(statement.values(**fields))


def span(segments: Sequence[Segment], number: int) -> tuple[int, int]:
    """The least and the greatest identifier of the sessions in the segment at a place."""
    first = segments[number].first_id if number else 0
    last = segments[number + 1].first_id - 1 if number + 1 < len(segments) else LARGEST_ID
    return first, last


def _greater(is_sqlite: bool) -> str:
    return f"{'max' if is_sqlite else 'greatest'}(session_terms.segment, excluded.segment)"


def _place(segments: Sequence[Segment], sessions: Sequence[Session]) -> list[Placed]:
    if not sessions or not segments:
        return []
    first = span(segments, len(segments) - 1)[0]
    late = [session for session in sessions if session.id < first]
    if not late:
        return [Placed(segments[-1], sessions)]
    starts = [segment.first_id for segment in segments]
    placed: dict[int, list[Session]] = {}
    for session in late:
        placed.setdefault(max(0, bisect.bisect_right(starts, session.id) - 1), []).append(session)
    found = [Placed(segments[place], some) for place, some in placed.items()]
    if len(late) < len(sessions):
        found.append(Placed(segments[-1], [session for session in sessions if session.id >= first]))
    return found
