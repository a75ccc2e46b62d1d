"""Each way to search uses the index made for it, and no other way of looking through a whole segment."""

import pytest
from sqlalchemy import text

from tests.support.sessions import START, make_session
from vpn.domain.session import first_id
from vpn.domain.session_query import SORTS, SessionRequest, parse_query
from vpn.store import session_search
from vpn.store.session_search import Search
from vpn.store.sessions import Batch, SessionStore

pytestmark = pytest.mark.anyio
ROWS = 3000


def session(number):
    return make_session(
        first_id(START + number),
        started=START + number,
        ended=START + number + number % 7,
        user=f"user{number % 500}" if number % 2 else "busy",
        host=f"host{number % 1000}.net",
        address=f"10.{number % 200}.0.{number % 250}",
        inbound="rare" if number % 500 == 0 else "main",
        status="failed" if number % 200 == 0 else "closed",
        bytes_sent=number * 7919 % 10_007,
        bytes_received=number * 104_729 % 10_007,
    )


@pytest.fixture
async def store(database):
    store = SessionStore(database, segment=ROWS)
    await store.write([Batch(1, 8, [session(number) for number in range(ROWS)])])
    assert await store.tend(busy=False)
    return store


@pytest.fixture
def plans(database, monkeypatch):
    """How the database goes about each statement that looks for sessions in the sealed segment."""
    found = []
    rows = Search._rows

    async def explain(self, statement, values):
        if statement.startswith("SELECT * FROM") and "sessions_1 " in statement:
            how = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            plan = await self._connection.execute(text(how + statement), self._values | (values or {}))
            found.append("\n".join(str(row[-1]) for row in plan))
        return await rows(self, statement, values)

    monkeypatch.setattr(Search, "_rows", explain)
    return found


@pytest.mark.parametrize(
    ("index", "fields"),
    [
        ("user", {"user": "user7"}),
        ("host", {"destination": "host5.net"}),
        ("address_key", {"destination": "10.5.0.5"}),
        ("address_key", {"destination": "10.5.0.0/16"}),
        ("status", {"status": "failed"}),
        ("inbound", {"inbound": "rare"}),
        ("host", {"text": "host77."}),
        ("user", {"user": "user7", "sort_by": "bytes_sent"}),
        ("host", {"user": "busy", "destination": "host4.net"}),
        ("status", {"user": "busy", "status": "failed"}),
    ],
)
async def test_filters_use_their_index(store, plans, index, fields):
    page = await store.page(parse_query(SessionRequest(**fields), START))
    assert page.sessions
    assert plans
    for plan in plans:
        assert f"ix_sessions_1_{index}" in plan
        assert "SCAN sessions_1" not in plan
        assert "Seq Scan on sessions_1" not in plan


@pytest.mark.parametrize("sort", sorted(SORTS))
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_orders_use_their_index(store, plans, sort, direction):
    await store.page(parse_query(SessionRequest(sort_by=sort, sort_dir=direction), START))
    name = "" if sort == "start_time" else f"ix_sessions_1_{SORTS[sort]}"
    assert name in plans[0]
    assert "Seq Scan on sessions_1" not in plans[0]


async def test_what_a_user_with_half_of_all_moved_most_is_found_in_the_order_of_that(store, plans, monkeypatch):
    monkeypatch.setattr(session_search, "GATHERED", 100)
    await store.page(parse_query(SessionRequest(user="busy", sort_by="bytes_sent"), START))
    assert "ix_sessions_1_bytes_sent" in plans[0]


async def test_time_is_a_range_of_the_key(store, plans, database):
    request = SessionRequest(hours=0.1)
    page = await store.page(parse_query(request, START + ROWS - 1))
    assert page.total == 361
    key = "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" if database.is_sqlite else "sessions_1_pkey on sessions_1"
    assert key in plans[0]
