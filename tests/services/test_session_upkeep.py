import asyncio

import pytest
from structlog.testing import capture_logs

from tests.support.sessions import START, make_session
from vpn.domain.errors import Unavailable
from vpn.domain.session import first_id
from vpn.domain.session_query import SessionQuery
from vpn.services import session_upkeep
from vpn.services.session_upkeep import SessionUpkeep
from vpn.settings.sessions import SessionSettings
from vpn.store.sessions import Batch, SessionStore

pytestmark = pytest.mark.anyio
DAY = 86400


@pytest.fixture
async def store(database):
    store = SessionStore(database, segment=10)
    for start in range(0, 30, 10):
        sessions = [make_session(first_id(START + DAY * number)) for number in range(start, start + 10)]
        await store.write([Batch(start + 1, 8, sessions)])
    return store


def upkeep(store, **settings):
    return SessionUpkeep(store, SessionSettings(**settings), lambda: START + DAY * 30)


async def count(store):
    return (await store.page(SessionQuery())).total


async def test_what_is_older_than_the_days_kept_goes(store):
    assert await upkeep(store, retention_days=12).trim() == 18
    assert await count(store) == 12


async def test_for_ever_is_for_ever(store):
    assert await upkeep(store, retention_days=0).trim() == 0


async def test_no_more_rows_than_the_most_are_kept(store):
    assert await upkeep(store, max_rows=7).trim() == 23
    assert await count(store) == 7


async def test_it_indexes_and_trims_and_goes_on_after_trouble(store, monkeypatch):
    monkeypatch.setattr(session_upkeep, "LOOK", 0.001)
    monkeypatch.setattr(session_upkeep, "PAUSE", 0.001)
    tend = store.tend
    troubles = iter([Unavailable("database_unreachable", "gone", "wait"), ZeroDivisionError()])
    indexed = asyncio.Event()

    async def tend_at_last(*, busy):
        for trouble in troubles:
            raise trouble
        tended = await tend(busy=busy)
        if not tended:
            indexed.set()
        return tended

    monkeypatch.setattr(store, "tend", tend_at_last)
    keeper = upkeep(store, retention_days=5)
    done = asyncio.Event()
    trim = keeper.trim

    async def trim_and_tell():
        await trim()
        done.set()

    monkeypatch.setattr(keeper, "trim", trim_and_tell)
    with capture_logs() as lines:
        task = asyncio.create_task(keeper.run())
        async with asyncio.timeout(15):
            await done.wait()
            await indexed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "the history of sessions cannot be looked after now"),
        ("error", "defect while looking after the history of sessions"),
        ("info", "old sessions removed"),
    ]
    assert await count(store) == 5
    assert not await tend(busy=False)
