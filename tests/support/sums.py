"""Sessions for statistics, and what they come to, worked out in the plainest way."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from sqlalchemy import URL

from vpn.domain.rollups import Kind, Stored, Sums
from vpn.domain.session import Session, Status
from vpn.domain.spans import Range
from vpn.store.database import Database
from vpn.store.rollups import Rollups

_STATUSES: tuple[Status, ...] = ("active", "closed", "failed", "rejected_by_acl")


def keys(session: Session) -> dict[Kind, str]:
    """Where a session is added up."""
    return {
        "all": "",
        "user": session.user,
        "destination": session.host.lower().removesuffix("."),
        "inbound": session.inbound,
        "protocol": session.protocol,
        "reason": session.reason,
    }


def sums_of(stored: Stored) -> Sums:
    """What one session comes to."""
    session = stored.session
    ended = session.status != "active"
    return Sums(
        session.status == "closed",
        session.status == "failed",
        session.status == "rejected_by_acl",
        stored.sent,
        stored.received,
        round((session.ended - session.started) * 1000) if ended else 0,
    )


def expected(told: Iterable[tuple[float, Stored]], kind: Kind, within: Range) -> dict[str, Sums]:
    """The sums of each key; `told` are sessions with the moment at which each was stored."""
    found: dict[str, Sums] = {}
    for now, stored in told:
        session = stored.session
        ended = session.status != "active"
        moment = session.ended if ended else now
        if not within.first <= moment < within.end or (kind == "reason" and not ended):
            continue
        sums = sums_of(stored)
        if kind == "reason":
            sums = sums._replace(bytes_sent=session.bytes_sent, bytes_received=session.bytes_received)
        key = keys(session)[kind]
        found[key] = found.get(key, Sums()).plus(sums)
    return found


def over(
    ended: float,
    user: str = "alice",
    host: str = "example.com",
    moved: tuple[int, int] = (10, 20),
    status: Status = "closed",
    reason: str = "eof",
) -> Stored:
    """A session of two seconds that ended at this moment, and of which nothing was stored before."""
    session = Session(1, "main", "192.0.2.1", 4711, ended - 2, "socks5", user, host, 443, "", status, reason, *moved)
    session.ended = ended
    return Stored(session, *moved)


async def add(url: str | URL, some: Iterable[Stored], *, fold_at: float = 0.0) -> None:
    """Add sessions to the sums in a database, and put those together that are over at a moment."""
    database = Database(url)
    rollups = Rollups(database, {}, lambda: fold_at)
    try:
        async with database.begin_writing() as connection:
            await rollups.add(connection, list(some))
        if fold_at:
            await rollups.fold()
    finally:
        await database.close()


@st.composite
def stored(draw: st.DrawFn, first: int, last: int) -> Stored:
    """A session that ended between two moments, or a live one."""
    status = draw(st.sampled_from(_STATUSES))
    live = status == "active"
    ended = draw(st.floats(first, last))
    inbound, protocol = draw(st.sampled_from([("main", "socks5"), ("main", "http"), ("two", "http")]))
    sent, received, before = draw(st.tuples(*[st.integers(0, 2**40)] * 3))
    session = Session(
        1,
        inbound,
        "192.0.2.7",
        4711,
        ended - draw(st.floats(0, 100_000)),
        protocol,
        draw(st.sampled_from(["", "alice", "bob"])),
        draw(st.sampled_from(["", "example.com", "Example.COM.", "192.0.2.1"])),
        443,
        status=status,
        reason="" if live else "eof" if status == "closed" else status,
        bytes_sent=sent + before,
        bytes_received=received + before,
        ended=0.0 if live else ended,
    )
    return Stored(session, sent, received)
