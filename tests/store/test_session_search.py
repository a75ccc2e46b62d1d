import asyncio

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from tests.support.postgres import Postgres
from tests.support.sessions import HOSTS, START, make_session, search, session_lists
from vpn.domain.errors import Invalid
from vpn.domain.session import first_id
from vpn.domain.session_query import SORTS, SessionQuery, SessionRequest, parse_query
from vpn.store import session_filters, session_search
from vpn.store.database import Database, sqlite_url
from vpn.store.sessions import Batch, SessionStore

# A failing example is shown as it is: making it smaller takes minutes with real databases.
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate)
EVERYTHING = SessionQuery(limit=1000)


@st.composite
def requests(draw):
    return SessionRequest(
        user=draw(st.sampled_from(["", "", "alice", "nobody"])),
        destination=draw(
            st.sampled_from(["", "", *HOSTS, "10.0.0.0/24", "10.0.0.0/8", "2001:db8::/32", "198.51.100.7", "no.net"])
        ),
        status=draw(st.sampled_from(["", "", "closed", "failed", "active"])),
        inbound=draw(st.sampled_from(["", "", "web"])),
        hours=draw(st.sampled_from([None, None, 1, 10])),
        text=draw(st.sampled_from(["", "", "EXAMPLE", "%_", "www", "zz", "ali"])),
        sort_by=draw(st.sampled_from(sorted(SORTS))),
        sort_dir=draw(st.sampled_from(["asc", "desc"])),
        page_size=draw(st.sampled_from([1, 3, 20, 1000])),
        page=draw(st.sampled_from([1, 1, 2])),
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Stores of new databases, as many as are asked for."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.new_database
    return lambda: sqlite_url(tmp_path_factory.mktemp("search") / "vpn.db")


@pytest.fixture
def compare(fresh, monkeypatch):
    """Every answer of the store is the one of a plain search, whatever way it is found in."""
    monkeypatch.setattr(session_search, "MOMENT", 60)
    monkeypatch.setattr(session_search, "ENOUGH", 60)
    database = Database(fresh())
    runner = asyncio.Runner()
    runner.run(database.migrate())
    number = iter(range(1, 1_000_000))

    async def run(sessions, requests, gathered, terms):
        monkeypatch.setattr(session_search, "GATHERED", gathered)
        monkeypatch.setattr(session_filters, "MOST_TERMS", terms)
        monkeypatch.setattr(session_search, "MOST_TERMS", terms)
        await _clear(database)
        store = SessionStore(database, segment=10)
        await store.checkpoint([make_session(each.id, **_live(each)) for each in sessions if each.id % 7 == 3])
        live = [make_session(each.id, **_live(each)) for each in sessions if each.id % 7 == 3]
        ended = [each for each in sessions if each.id % 7 != 3]
        for start in range(0, len(ended), 4):
            await store.write([Batch(next(number), 8, ended[start : start + 4])])
        while await store.tend(busy=False):
            pass
        for request in requests:
            query = parse_query(request, START + 40 * 3600)
            expected = search(live + ended, query)
            page = await store.page(query)
            assert page.sessions == expected[query.offset : query.offset + query.limit]
            assert (page.total, page.exact) == (len(expected), True)
            found = [each async for piece in store.stream(query) for each in piece]
            assert found == expected[query.offset :]

    yield lambda *arguments: runner.run(run(*arguments))
    runner.run(database.close())
    runner.close()


def _live(session):
    fields = {name: getattr(session, name) for name in session.__struct_fields__ if name != "id"}
    return fields | {"status": "active", "ended": 0.0}


async def _clear(database):
    store = SessionStore(database)
    while await store.trim(oldest=2**62, most=0):
        pass
    async with database.begin() as connection:
        for table in ("sessions_live", "session_terms"):
            await connection.exec_driver_sql(f"DELETE FROM {table}")


def test_it_finds_what_a_plain_search_finds(compare):
    @hypothesis.settings(max_examples=15, phases=PHASES, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(
        session_lists(), st.lists(requests(), max_size=12), st.sampled_from([0, 2, 1000]), st.sampled_from([1, 100])
    )
    def agree(sessions, requests, gathered, terms):
        compare(sessions, requests, gathered, terms)

    agree()


@pytest.mark.anyio
async def test_pages_have_every_session_once_while_others_come(database):
    store = SessionStore(database, segment=20)
    before = [make_session(first_id(START + number), started=START + number) for number in range(1, 60)]
    await store.write([Batch(1, 8, before)])
    query = msgspec.structs.replace(EVERYTHING, limit=7)
    seen = []
    moment = 100
    while True:
        page = await store.page(query)
        seen += page.sessions
        await store.write([Batch(moment, 8, [make_session(first_id(START + moment))])])
        moment += 1
        if page.next is None:
            break
        query = msgspec.structs.replace(query, after=page.next)
    assert seen == before[::-1]


async def filled(database):
    store = SessionStore(database, segment=10)
    sessions = [make_session(first_id(START + number), user="bob") for number in range(100)]
    for start in range(0, 100, 10):
        await store.write([Batch(start + 1, 8, sessions[start : start + 10])])
    return store, sessions


@pytest.mark.anyio
@pytest.mark.parametrize("descending", [True, False])
async def test_what_takes_too_long_is_gone_on_with_from_where_it_ended(database, monkeypatch, descending):
    store, sessions = await filled(database)
    await store.checkpoint([make_session(sessions[50].id + 1, status="active", user="bob")])
    monkeypatch.setattr(session_search, "ENOUGH", -1)
    query = SessionQuery(user="bob", descending=descending, limit=1000)
    first = await store.page(query)
    assert len(first.sessions) < 101
    assert first.next is not None
    found = [each.id async for piece in store.stream(query) for each in piece]
    expected = sorted([each.id for each in sessions] + [sessions[50].id + 1], reverse=descending)
    assert found == expected


@pytest.mark.anyio
async def test_sorting_for_too_long_is_refused(database, monkeypatch):
    store, _ = await filled(database)
    monkeypatch.setattr(session_search, "ENOUGH", -1)
    with pytest.raises(Invalid) as trouble:
        await store.page(SessionQuery(sort="bytes_sent"))
    assert trouble.value.code == "too_much_to_sort"


@pytest.mark.anyio
async def test_counting_for_too_long_gives_what_was_counted(database, monkeypatch):
    store, _ = await filled(database)
    monkeypatch.setattr(session_search, "MOMENT", -1)
    page = await store.page(SessionQuery(user="bob", limit=5))
    assert (page.total, page.exact) == (5, False)
    page = await store.page(SessionQuery(limit=5))
    assert (page.total, page.exact) == (100, True)  # of segments it is known


@pytest.mark.anyio
@pytest.mark.parametrize("step", ["_take", "_fetch"])
@pytest.mark.parametrize("sort", ["start_time", "bytes_sent"])
async def test_what_ends_while_it_is_looked_for_is_there_once(database, monkeypatch, step, sort):
    store, sessions = await filled(database)
    number = sessions[50].id + 1
    await store.checkpoint([make_session(number, status="active", ended=0.0)])
    ends = iter([Batch(999, 8, [make_session(number)])])
    real = getattr(session_search.Search, step)

    async def meanwhile(self, *arguments):
        if step == "_fetch":
            await store.write(list(ends))
        found = await real(self, *arguments)
        if step == "_take":
            await store.write(list(ends))
        return found

    monkeypatch.setattr(session_search.Search, step, meanwhile)
    page = await store.page(SessionQuery(limit=1000, sort=sort))
    assert sorted(each.id for each in page.sessions) == sorted([number] + [each.id for each in sessions])
