"""Old sessions, removed in steps that others need not wait for.

A segment is taken out of what is read first, and its table removed once nobody reads it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.session import first_id
from vpn.store.session_segments import Segment, Segments, save
from vpn.store.tables import session_segments

STEP = 1000  # rows removed in a transaction
_HOUR = first_id(1_600_003_600) - first_id(1_600_000_000)
"""As a difference of identifiers: what ends within so little time is removed at once, and not row by row."""
_EXACT = 10  # segments; where fewer than these are to be kept, their number of rows is kept to exactly


class Trimmed(NamedTuple):
    """What a step has done."""

    removed: int
    """Sessions; with 0, there is nothing more to do now."""
    segments: tuple[Segment, ...]


async def trim(connection: AsyncConnection, segments: Segments, oldest: int, most: int) -> Trimmed:
    """Remove some of what is too old or too much.

    Args:
        oldest: the least identifier that is kept.
        most: the sessions that are kept; 0: any number.
    """
    known = await segments.load(connection)
    if not known:
        return Trimmed(0, known)
    first = known[0]
    excess = max(0, sum(segment.rows for segment in known) - most) if most else 0
    if len(known) > 1 and (first.last_id < oldest or (excess and excess >= first.rows)):
        dropped = session_segments.c.number == first.number
        await connection.execute(update(session_segments).where(dropped).values(dropped=True))
        return Trimmed(max(1, first.rows), known[1:])
    if excess and most < _EXACT * first.rows:
        return await _remove_rows(connection, known, f"ORDER BY id LIMIT {min(excess, STEP)}")
    if first.last_id - oldest > _HOUR or len(known) == 1:
        return await _remove_rows(connection, known, f"WHERE id < {oldest} ORDER BY id LIMIT {STEP}")
    return Trimmed(0, known)


async def sweep(connection: AsyncConnection, segments: Segments) -> None:
    """Remove one table that is not read any more, and some of the terms that are nowhere now."""
    gone = (await connection.scalars(select(session_segments.c.number).where(session_segments.c.dropped))).all()
    number = next((each for each in gone if not segments.is_held(each)), None)
    if number is not None:
        await connection.execute(text(f"DROP TABLE IF EXISTS sessions_{number}"))
        await connection.execute(delete(session_segments).where(session_segments.c.number == number))
    known = await segments.load(connection)
    if known:
        old = f"SELECT kind, term FROM session_terms WHERE segment < {known[0].number} LIMIT {STEP}"
        await connection.execute(text(f"DELETE FROM session_terms WHERE (kind, term) IN ({old})"))


async def _remove_rows(connection: AsyncConnection, known: Sequence[Segment], which: str) -> Trimmed:
    first = known[0]
    inner = f"SELECT id FROM {first.table} {which}"
    removed = (await connection.execute(text(f"DELETE FROM {first.table} WHERE id IN ({inner})"))).rowcount
    smaller = msgspec.structs.replace(first, rows=first.rows - removed)
    if removed:
        await save(connection, smaller)
    return Trimmed(removed, (smaller, *known[1:]))
