import msgspec
import pytest
from sqlalchemy import text

from tests.support.sessions import START, make_session
from vpn.domain.errors import Unavailable
from vpn.domain.session import first_id
from vpn.domain.session_query import SessionQuery
from vpn.store.sessions import Batch, SessionStore

pytestmark = pytest.mark.anyio
ALL = SessionQuery(limit=1000)


class Counter:
    """Counts as roll-ups would: sessions, and bytes."""

    def __init__(self):
        self.told = []

    async def __call__(self, _connection, stored):
        self.told += [(each.session.id, each.session.status, each.sent, each.received) for each in stored]

    @property
    def sums(self):
        ended = [each[0] for each in self.told if each[1] != "active"]
        assert len(ended) == len(set(ended))
        return len(ended), sum(each[2] for each in self.told), sum(each[3] for each in self.told)


def ended(number, **fields):
    return make_session(first_id(START + number), started=START + number, ended=START + number + 2, **fields)


def live(number, **fields):
    return make_session(first_id(START + number), started=START + number, status="active", ended=0.0, **fields)


async def everything(store):
    return [each async for piece in store.stream(ALL) for each in piece]


async def test_sessions_are_kept_as_they_are(database):
    store = SessionStore(database)
    whole = ended(
        1,
        address="2001:db8::1",
        reason="eof",
        upstream="exit",
        rule="groups.staff.rules.0",
        server_name="exämple.net",
        connect_time=0.25,
        first_byte_time=0.125,
        packets_sent=3,
        packets_received=2**40,
        engine="xray",
    )
    others = [ended(number, host="192.0.2.9") for number in range(2, 250)]
    await store.write([Batch(1, 8, [whole, *others])])
    assert await store.get(whole.id) == whole
    assert await everything(store) == [*others[::-1], whole]
    assert await store.get(7) is None


async def test_a_batch_is_stored_once(database):
    counter = Counter()
    store = SessionStore(database, counter)
    batches = [Batch(1, 100, [ended(1, bytes_sent=5)]), Batch(2, 50, [ended(2, bytes_received=7)])]
    await store.write(batches)
    await store.write(batches)
    await SessionStore(database, counter).write([batches[1], Batch(1, 200, [ended(3)])])
    assert len(await everything(store)) == 3
    assert counter.sums == (3, 5, 7)
    assert [await store.position(journal) for journal in (1, 2, 3)] == [200, 50, 0]
    await store.forget(1)
    assert await store.position(1) == 0


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_told_of_a_live_session_is_not_told_again(database, restarted):
    counter = Counter()
    store = SessionStore(database, counter)
    await store.checkpoint([live(1, bytes_sent=10, bytes_received=1), live(2)])
    await store.checkpoint([live(1, bytes_sent=15, bytes_received=1), live(2)])
    if restarted:
        store = SessionStore(database, counter)
    await store.checkpoint([live(1, bytes_sent=16, bytes_received=1), msgspec.structs.replace(live(3), id=0)])
    assert [each.bytes_sent for each in (await store.page(ALL)).sessions] == [0, 16]
    await store.write([Batch(1, 8, [ended(1, bytes_sent=20, bytes_received=4), ended(4, bytes_sent=100)])])
    number = first_id(START + 1)
    assert [each for each in counter.told if each[0] == number] == [
        (number, "active", 10, 1),
        (number, "active", 5, 0),
        (number, "active", 1, 0),
        (number, "closed", 4, 3),
    ]
    assert counter.sums == (2, 120, 4)
    assert [each.status for each in (await store.page(ALL)).sessions] == ["closed", "active", "closed"]


async def test_what_a_tally_cannot_count_is_not_stored(database):
    class Refused(Exception):
        pass

    async def refuse(_connection, _stored):
        raise Refused

    batch = Batch(1, 8, [ended(1)])
    with pytest.raises(Refused):
        await SessionStore(database, refuse).write([batch])
    store = SessionStore(database)
    assert await everything(store) == []
    await store.write([batch])
    assert len(await everything(store)) == 1


async def test_live_sessions_of_a_daemon_that_died_are_closed(database, monkeypatch):
    monkeypatch.setattr("vpn.store.sessions._STEP", 2)
    counter = Counter()
    store = SessionStore(database, counter)
    await store.checkpoint([live(number, bytes_sent=10) for number in range(5)])
    again = SessionStore(database, counter)
    await again.close_active("daemon_died", START + 60)
    found = await everything(again)
    assert [(each.status, each.reason, each.ended) for each in found] == [("closed", "daemon_died", START + 60)] * 5
    assert counter.sums == (5, 50, 0)
    await again.close_active("daemon_died", START + 70)
    assert await everything(again) == found


async def test_what_is_there_already_is_left_out_with_the_rest_stored(database):
    counter = Counter()
    store = SessionStore(database, counter)
    await store.write([Batch(1, 8, [ended(1, bytes_sent=1)])])
    await store.write([Batch(2, 8, [ended(1, bytes_sent=50), ended(2), ended(2)])])
    assert [each.bytes_sent for each in await everything(store)] == [0, 1]
    assert counter.sums == (2, 1, 0)


async def test_what_a_database_cannot_keep_is_mended(database):
    store = SessionStore(database)
    await store.write([Batch(1, 8, [ended(1, server_name="a\0b"), ended(2)])])
    await store.checkpoint([live(3, server_name="\0"), live(4)])
    found = await everything(store)
    assert len(found) == 4
    assert database.is_sqlite or {each.server_name for each in found} == {"", "a\N{REPLACEMENT CHARACTER}b", "\ufffd"}


async def test_late_sessions_are_where_they_belong(database):
    store = SessionStore(database, segment=10)
    for start in range(0, 40, 10):
        await store.write([Batch(start + 1, 8, [ended(number) for number in range(start, start + 10)])])
    while await store.tend(busy=False):
        pass
    late = [make_session(first_id(START + number) + 1, host=f"late{number}.net") for number in (0, 15, 39)]
    await store.write([Batch(99, 8, [*late, ended(41)])])
    found = await everything(store)
    assert [each.id for each in found] == sorted((each.id for each in found), reverse=True)
    assert len(found) == 44
    for session in late:
        page = await store.page(SessionQuery(text=session.host))
        assert page.sessions == [session]
        assert await store.get(session.id) == session


async def test_indexes_are_made_when_there_is_time(database):
    store = SessionStore(database, segment=10)
    for start in range(0, 30, 10):
        await store.write([Batch(start + 1, 8, [ended(number) for number in range(start, start + 10)])])
    assert not await store.tend(busy=True)
    await store.write([Batch(31, 8, [ended(number) for number in range(30, 40)])])
    assert await store.tend(busy=True)  # too many wait
    assert not await store.tend(busy=True)
    assert [await store.tend(busy=False) for _ in range(4)] == [True, True, True, False]
    kind = "sqlite_master" if database.is_sqlite else "pg_indexes"
    name = "name" if database.is_sqlite else "indexname"
    async with database.begin() as connection:
        found = await connection.scalars(text(f"SELECT {name} FROM {kind} WHERE {name} LIKE 'ix_sessions_%'"))
        assert len(list(found)) == 4 * 8


async def test_what_fails_leaves_no_wrong_memory(database, monkeypatch):
    store = SessionStore(database, segment=10)
    await store.write([Batch(1, 8, [ended(number) for number in range(9)])])

    async def refuse(*_arguments):
        raise Unavailable("database_unreachable", "gone", "wait")

    forget = store._forget_live
    monkeypatch.setattr(store, "_forget_live", refuse)
    with pytest.raises(Unavailable):
        await store.write([Batch(2, 8, [ended(number) for number in range(10, 20)])])
    monkeypatch.setattr(store, "_forget_live", forget)
    await store.write([Batch(2, 8, [ended(number) for number in range(10, 20)])])
    page = await store.page(ALL)
    assert (len(page.sessions), page.total, page.exact) == (19, 19, True)
