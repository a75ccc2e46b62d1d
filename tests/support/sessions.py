"""Sessions made up, and a plain search among them that the real one has to agree with."""

from __future__ import annotations

from hypothesis import strategies as st

from vpn.domain.address import pack
from vpn.domain.session import Session, SessionIds
from vpn.domain.session_query import SORTS, SessionQuery

START = 1_790_000_000.0
"""When the first of them began, in seconds since the epoch."""
HOSTS = ("example.com", "www.example.com", "Mixed.Example.net", "10.0.0.1", "10.0.0.200", "10.9.0.1", "2001:db8::1")


def make_session(number: int, **fields: object) -> Session:
    """One that ended; each of its fields may be said."""
    values = {
        "source_port": 4711,
        "started": START,
        "status": "closed",
        "ended": START + 2,
        "protocol": "socks5",
        "user": "alice",
        "host": "example.com",
        "port": 443,
    }
    return Session(**{"id": number, "inbound": "main", "source_host": "192.0.2.1"} | values | fields)


@st.composite
def session_lists(draw: st.DrawFn, most: int = 60) -> list[Session]:
    """Sessions in the order of time, with few different values, so that searches find some."""
    ids = SessionIds(0)
    found = []
    started = START
    for _ in range(draw(st.integers(0, most))):
        started += draw(st.sampled_from([0.0, 0.001, 7.0, 3600.0]))
        sent, received, lasted, status, host, user, inbound = draw(
            st.tuples(
                st.sampled_from([0, 1, 517, 2**40]),
                st.integers(0, 3),
                st.sampled_from([0.0, 0.1, 30.25]),
                st.sampled_from(["closed", "closed", "failed", "rejected_by_acl"]),
                st.sampled_from(HOSTS),
                st.sampled_from(["alice", "bob", "", "50%_off!"]),
                st.sampled_from(["main", "web"]),
            )
        )
        found.append(
            make_session(
                ids.next(started),
                inbound=inbound,
                user=user,
                host=host,
                address="198.51.100.7" if host == "example.com" else "",
                started=started,
                ended=started + lasted,
                status=status,
                bytes_sent=sent,
                bytes_received=received,
            )
        )
    return found


def search(sessions: list[Session], query: SessionQuery) -> list[Session]:
    """All that a query means, in its order, from its position on."""
    keys = {each.id: (_key(each, query), each.id) for each in sessions}
    found = [each for each in sessions if _fits(each, query)]
    if query.after is not None:
        after = (query.after.key, query.after.id)
        found = [each for each in found if (keys[each.id] < after if query.descending else keys[each.id] > after)]
    return sorted(found, key=lambda each: keys[each.id], reverse=query.descending)


def _key(session: Session, query: SessionQuery) -> float:
    if query.sort == "duration_seconds":
        return max(0.0, session.ended - session.started)
    return getattr(session, SORTS[query.sort])


def _fits(session: Session, query: SessionQuery) -> bool:
    packed = pack(session.address or session.host)
    wanted = query.addresses
    return (
        query.user in ("", session.user)
        and query.name in ("", session.host)
        and query.status in ("", session.status)
        and query.inbound in ("", session.inbound)
        and query.first <= session.id <= query.last
        and (not query.text or query.text.lower() in session.user.lower() or query.text.lower() in session.host.lower())
        and (
            wanted is None
            or (packed is not None and len(packed) == len(wanted.first) and wanted.first <= packed <= wanted.last)
        )
    )
