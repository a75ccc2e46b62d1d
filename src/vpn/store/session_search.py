"""Finding sessions: one segment after the other, and in each by what promises to be least work.

In the order of time, segments are looked at from the newest on until there is enough. In other orders each one has its
say, but after the first ones only with what comes before the last of those found so far. In which way a segment is
looked at, is decided by counting, up to `GATHERED`, what its indexes find for each condition: nothing, and it is left
out; little, and that is gathered and sorted; much, and the sessions are gone through in the order that is asked for,
where some of the first will do. Databases guess at that, and guess wrong where a user has half of all sessions.

Effort is bounded: what takes too long is not gone on with. In the order of time the answer then holds what was found,
and from where to go on; totals are counted up to `DEEPEST`, and for a moment.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.errors import Invalid
from vpn.domain.session import Session
from vpn.domain.session_query import DEEPEST, Page, Position, SessionQuery
from vpn.store.session_filters import MOST_TERMS, Filter, filters_of, pattern_of, terms_filter, terms_like, text_filter
from vpn.store.session_rows import LISTED, session_of
from vpn.store.session_segments import Segment, span

GATHERED = 1500  # sessions of a segment that are gathered and sorted
ENOUGH = 2.0  # seconds to search
MOMENT = 0.02  # seconds to count
_LARGEST_GROUP = 16  # segments in a statement
_LIVE = 0  # the number of what is no segment: the table of live sessions


class _Found(NamedTuple):
    key: float
    id: int
    source: int


_Row = Sequence[Any]
"""The fields of `_Found`, as they come; there may be ten thousand of which some are shown."""


class _Part(NamedTuple):
    """A table, and which identifiers of it matter."""

    number: int
    table: str
    sealed: bool
    first: int
    last: int
    rows: int
    whole: bool
    """Whether all of its sessions matter."""


class _Way(NamedTuple):
    """How to look at a part."""

    found: int | None
    """What the best index finds, up to `GATHERED` + 1; None: there is none."""
    condition: Filter | None
    """The one that an index is used for."""


class _Where(NamedTuple):
    """The conditions on a part."""

    sql: str
    gathered: bool
    """Whether an index finds what fulfils them, in another order than the one asked for."""


class Search:
    """Searches within one transaction.

    Args:
        segments: those to look at, the oldest first.
    """

    def __init__(self, connection: AsyncConnection, segments: Sequence[Segment], *, is_sqlite: bool) -> None:
        self._connection = connection
        self._segments = segments
        self._is_sqlite = is_sqlite
        self._conditions: list[Filter] = []
        self._text: Filter | None = None
        """The condition on text where there are no indexes."""
        self._values: dict[str, Any] = {}
        self._ways: dict[int, _Way] = {}
        self._counts: dict[int, int] = {}
        """How many there are in parts that were looked through to the end."""

    async def get(self, number: int) -> Session | None:
        """One session."""
        tables = ["sessions_live"]
        tables += [
            segment.table
            for place, segment in enumerate(self._segments)
            if span(self._segments, place)[0] <= number <= span(self._segments, place)[1]
        ]
        query = " UNION ALL ".join(f"SELECT {LISTED} FROM {table} WHERE id = :id" for table in tables)
        row = (await self._connection.execute(text(query), {"id": number})).first()
        return None if row is None else session_of(row)

    async def page(self, query: SessionQuery, *, count: bool = True) -> Page:
        """Sessions as asked for.

        Raises:
            Invalid: there is too much to sort.
        """
        await self._prepare(query)
        parts = self._parts(query)
        wanted = query.offset + query.limit + 1
        found, resume = await (self._walk if query.sort == "start_time" else self._sort)(query, parts, wanted)
        shown = [_Found(*row) for row in found[query.offset : query.offset + query.limit]]
        sessions = await self._fetch(shown)
        following = None
        if len(found) == wanted:
            following = Position(shown[-1].key, shown[-1].id)
        elif resume is not None:
            following = Position(resume, resume)
        if not count or query.after is not None:
            return Page(sessions, None, False, following)
        total, exact = await self._total(query, parts)
        return Page(sessions, max(total, query.offset + len(shown) if shown else 0), exact, following)

    async def _prepare(self, query: SessionQuery) -> None:
        self._conditions, values = filters_of(query)
        self._values = dict(values)
        if query.text:
            pattern = pattern_of(query.text)
            self._values["pattern"] = pattern
            self._text = text_filter(is_sqlite=self._is_sqlite)
            statement = terms_like(pattern, is_sqlite=self._is_sqlite)
            terms = [(kind, term) for kind, term in await self._connection.execute(statement)]
            if len(terms) <= MOST_TERMS:
                condition, named = terms_filter(terms)
                self._values |= named
                self._conditions.append(condition)
            else:
                self._conditions.append(self._text)

    def _parts(self, query: SessionQuery) -> list[_Part]:
        """What to look at, in the order of time that is asked for; what lives comes first."""
        first, last = query.first, query.last
        if query.after is not None and query.sort == "start_time":
            if query.descending:
                last = min(last, query.after.id - 1)
            else:
                first = max(first, query.after.id + 1)
        parts = []
        for place, segment in enumerate(self._segments):
            least, greatest = span(self._segments, place)
            if least <= last and greatest >= first and query.status != "active":
                whole = first <= least and greatest <= last
                bounds = max(first, least), min(last, greatest)
                parts.append(_Part(segment.number, segment.table, segment.sealed, *bounds, segment.rows, whole))
        if query.descending:
            parts.reverse()
        if query.status in ("", "active"):
            parts.insert(0, _Part(_LIVE, "sessions_live", False, first, last, 0, False))
        return parts

    async def _walk(self, query: SessionQuery, parts: list[_Part], wanted: int) -> tuple[list[_Row], int | None]:
        """The first ones in the order of time, and from where to go on if it took too long to find as many."""
        deadline = time.monotonic() + ENOUGH
        live = await self._take(query, [part for part in parts if part.number == _LIVE], wanted)
        found: list[_Row] = []
        resume = None
        ended = [part for part in parts if part.number != _LIVE]
        for group in _groups(ended):
            found += await self._take(query, group, wanted - len(found))
            if len(found) >= wanted or group[-1] is ended[-1]:
                break
            if time.monotonic() > deadline:
                resume = group[-1].first if query.descending else group[-1].last
                live = [row for row in live if (row[1] >= resume if query.descending else row[1] <= resume)]
                break
        return (_ordered(found + live, query)[:wanted] if live else found), resume

    async def _sort(self, query: SessionQuery, parts: list[_Part], wanted: int) -> tuple[list[_Row], int | None]:
        """The first ones in another order."""
        deadline = time.monotonic() + ENOUGH
        found: list[_Row] = []
        for group in _groups(parts):
            if time.monotonic() > deadline:
                raise Invalid(
                    "too_much_to_sort", "sorting so many sessions takes too long", "narrow the time, or filter more"
                )
            bound = found[-1][0] if len(found) == wanted else None
            found = _ordered(found + await self._take(query, group, wanted, bound), query)[:wanted]
        return found, None

    async def _take(
        self, query: SessionQuery, parts: list[_Part], wanted: int, bound: float | None = None
    ) -> list[_Row]:
        """The first ones of these parts; with a bound, only those whose key is not beyond it."""
        if not parts:
            return []
        await self._find_ways(parts)
        direction = "DESC" if query.descending else "ASC"
        values: dict[str, Any] = {"wanted": wanted}
        beyond = []
        if query.sort != "start_time":
            before = ("<", ">=") if query.descending else (">", "<=")
            if query.after is not None:
                beyond.append(f"({query.column}, id) {before[0]} (:after_key, :after_id)")
                values |= {"after_key": query.after.key, "after_id": query.after.id}
            if bound is not None:
                beyond.append(f"{query.column} {before[1]} :bound")
                values["bound"] = bound
        selects = []
        for part in parts:
            where = self._where(part, beyond, ordered=query.sort == "start_time")
            if where is not None:
                # What is gathered and sorted is not to be gone through in the order instead.
                sign = " + 0" if where.gathered else ""
                order = f"{query.column}{sign} {direction}, id{sign} {direction}"
                selects.append(
                    f"SELECT * FROM (SELECT {query.column} AS k, id AS i, {part.number} AS source FROM {part.table} "
                    f"{where.sql} ORDER BY {order} LIMIT :wanted) AS p{part.number}"
                )
        rows: list[_Row] = []
        if selects:
            statement = " UNION ALL ".join(selects) + f" ORDER BY k {direction}, i {direction} LIMIT :wanted"
            rows = await self._rows(statement, values)
        if not beyond and len(rows) < wanted:
            found = Counter(row[2] for row in rows)
            self._counts |= {part.number: found[part.number] for part in parts}
        return rows

    def _where(self, part: _Part, beyond: Sequence[str], *, all: bool = False, ordered: bool = False) -> _Where | None:
        """The conditions on a part, so that one index is used at most; None: nothing there fulfils them.

        Args:
            part: the table.
            beyond: further conditions.
            all: whether everything there is looked for, and not the first ones of an order.
            ordered: whether that is the order of time.
        """
        way = self._ways[part.number]
        if way.found == 0:
            return None
        chosen = way.condition
        in_order = chosen is not None and ordered and chosen.ordered
        if (way.found or 0) > GATHERED and not all and not in_order:
            chosen = None  # there is so much of it that some of the first will do
        conditions = self._of(part)
        plus = "+" if self._is_sqlite else ""
        parts = [each.sql.format(plus="" if each is chosen else plus) for each in conditions]
        if not part.whole:
            # Where an index is used for something else, this must not be taken for a better one.
            sign = plus if chosen is not None and not in_order else ""
            parts.append(f"{sign}id BETWEEN {part.first} AND {part.last}")
        parts += beyond
        sql = f"WHERE {' AND '.join(parts)}" if parts else ""
        return _Where(sql, chosen is not None and not in_order)

    def _of(self, part: _Part) -> list[Filter]:
        """The conditions for a part: terms are noted of those only that are sealed."""
        if self._text is None or part.sealed:
            return self._conditions
        return [*self._conditions[:-1], self._text]

    async def _find_ways(self, parts: list[_Part]) -> None:
        """Decide how to look at these, where that was not decided."""
        new = [part for part in parts if part.number not in self._ways]
        selects: list[str] = []
        asked: list[tuple[int, Filter]] = []
        for part in new:
            self._ways[part.number] = _Way(None, None)
            for each in self._of(part) if part.sealed else ():
                if each.indexed:
                    inner = f"SELECT 1 FROM {part.table} WHERE {each.sql.format(plus='')} LIMIT {GATHERED + 1}"
                    selects.append(f"(SELECT count(*) FROM ({inner}) AS c{len(selects)})")
                    asked.append((part.number, each))
        if not selects:
            return
        (counts,) = await self._rows(f"SELECT {', '.join(selects)}", {})
        for (number, each), count in zip(asked, counts, strict=True):
            best = self._ways[number].found
            if best is None or count < best:
                self._ways[number] = _Way(count, each)

    async def _fetch(self, found: Sequence[_Found]) -> list[Session]:
        """The sessions themselves, in the order of what was found."""
        if not found:
            return []
        tables = {segment.number: segment.table for segment in self._segments} | {_LIVE: "sessions_live"}
        wanted: dict[int, list[int]] = {}
        for each in found:
            wanted.setdefault(each.source, []).append(each.id)
        selects = [
            f"SELECT {LISTED} FROM {tables[source]} WHERE id IN ({', '.join(map(str, numbers))})"
            for source, numbers in wanted.items()
        ]
        rows = await self._rows(" UNION ALL ".join(selects), None)
        sessions = {row[0]: session_of(row) for row in rows}
        for number in wanted.get(_LIVE, ()):
            if number not in sessions and (session := await self.get(number)):  # it has just ended
                sessions[number] = session
        return [sessions[each.id] for each in found if each.id in sessions]

    async def _total(self, query: SessionQuery, parts: list[_Part]) -> tuple[int, bool]:
        """How many there are, and whether not more."""
        deadline = time.monotonic() + MOMENT
        known = [] if query.filters else [part for part in parts if part.whole]
        whole = sum(part.rows for part in known)
        parts = [part for part in parts if part not in known]
        counted = sum(self._counts.get(part.number, 0) for part in parts)
        parts = [part for part in parts if part.number not in self._counts]
        quick = all(each.indexed for each in self._conditions)
        for group in _groups(parts, _LARGEST_GROUP if quick else 1):
            if counted > DEEPEST or time.monotonic() > deadline:
                return min(whole + counted, max(whole, DEEPEST)), False
            await self._find_ways(group)
            selects = []
            for part in group:
                where = self._where(part, (), all=True)
                found = self._ways[part.number].found
                if where is not None and found is not None and found <= GATHERED and self._is_all(part):
                    counted += found
                elif where is not None:
                    inner = f"SELECT 1 FROM {part.table} {where.sql} LIMIT {DEEPEST + 1}"
                    selects.append(f"(SELECT count(*) FROM ({inner}) AS c{part.number})")
            if selects:
                (counts,) = await self._rows(f"SELECT {', '.join(selects)}", {})
                counted += sum(counts)
        if counted > DEEPEST:
            return max(whole, DEEPEST), False
        return whole + counted, True

    def _is_all(self, part: _Part) -> bool:
        """Whether what an index finds in a part is what is looked for."""
        return part.whole and len(self._conditions) == 1

    async def _rows(self, statement: str, values: dict[str, Any] | None) -> list[Sequence[Any]]:
        if values is None:
            return list((await self._connection.exec_driver_sql(statement)).all())
        return list((await self._connection.execute(text(statement), self._values | values)).all())


def _groups(parts: Sequence[_Part], largest: int = _LARGEST_GROUP) -> Iterator[list[_Part]]:
    """Parts in groups that grow: most searches are over after the first one."""
    start, size = 0, min(2, largest)
    while start < len(parts):
        yield list(parts[start : start + size])
        start, size = start + size, min(size * 4, largest)


def _ordered(found: list[_Row], query: SessionQuery) -> list[_Row]:
    """In the order that is asked for, each once: what ends meanwhile is found here and there."""
    return sorted({row[1]: row for row in found}.values(), key=itemgetter(0, 1), reverse=query.descending)
