import pytest
from sqlalchemy import text

from tests.support.sessions import START, make_session
from vpn.domain.session import first_id
from vpn.domain.session_query import SessionQuery
from vpn.store import session_trim
from vpn.store.sessions import Batch, SessionStore

pytestmark = pytest.mark.anyio
HOUR = 3600


@pytest.fixture
async def store(database):
    """Forty sessions, one an hour, in segments of ten, and an empty one."""
    store = SessionStore(database, segment=10)
    for start in range(0, 40, 10):
        sessions = [
            make_session(first_id(START + HOUR * each), host=f"{each}.net") for each in range(start, start + 10)
        ]
        await store.write([Batch(start + 1, 8, sessions)])
    while await store.tend(busy=False):
        pass
    return store


async def kept(store):
    page = await store.page(SessionQuery(limit=1000))
    assert page.total == len(page.sessions)
    return [int(session.host.partition(".")[0]) for session in page.sessions[::-1]]


async def trim(store, oldest=0, most=0):
    steps = []
    while step := await store.trim(oldest, most):
        steps.append(step)
    return steps


async def tables(database):
    kind, name = ("sqlite_master", "name") if database.is_sqlite else ("pg_tables", "tablename")
    async with database.begin() as connection:
        found = await connection.scalars(text(f"SELECT {name} FROM {kind} WHERE {name} LIKE 'sessions%'"))
        return {each for each in found if each != "sessions_live"}


async def test_what_is_too_old_goes_in_steps(store, monkeypatch):
    monkeypatch.setattr(session_trim, "STEP", 2)
    assert await trim(store, first_id(START + HOUR * 15)) == [10, 2, 2, 1]
    assert await kept(store) == list(range(15, 40))
    assert await trim(store, first_id(START + HOUR * 15)) == []


async def test_what_is_too_much_goes_in_steps(store, monkeypatch):
    monkeypatch.setattr(session_trim, "STEP", 4)
    assert await trim(store, most=17) == [10, 10, 3]
    assert await kept(store) == list(range(23, 40))


async def test_many_are_kept_roughly(store, monkeypatch):
    monkeypatch.setattr(session_trim, "_EXACT", 3)
    assert await trim(store, most=35) == []
    assert await trim(store, most=30) == [10]


async def test_a_segment_of_less_than_an_hour_goes_as_a_whole(database):
    store = SessionStore(database, segment=10)
    for start in range(0, 20, 10):
        sessions = [make_session(first_id(START + each), host=f"{each}.net") for each in range(start, start + 10)]
        await store.write([Batch(start + 1, 8, sessions)])
    assert await trim(store, first_id(START + 8)) == []
    assert await trim(store, first_id(START + 10)) == [10]
    assert await kept(store) == list(range(10, 20))


async def test_tables_and_terms_of_what_is_gone_are_removed(store, database):
    before = await tables(database)
    await trim(store, first_id(START + HOUR * 20))
    assert before - await tables(database) == {"sessions_1", "sessions_2"}
    assert (await store.page(SessionQuery(text="3.net"))).total == 2
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM session_terms WHERE kind = 'host'")) == 20


async def test_a_table_that_is_read_stays_until_then(store, database):
    async with store._searching():
        assert await trim(store, first_id(START + HOUR * 10)) == [10]
        assert "sessions_1" in await tables(database)
    assert await kept(store) == list(range(10, 40))
    await store.trim(0, 0)
    assert "sessions_1" not in await tables(database)
    again = SessionStore(database, segment=10)
    assert await kept(again) == list(range(10, 40))


async def test_nothing_goes_where_nothing_is(database):
    assert await SessionStore(database).trim(first_id(START), 1) == 0
