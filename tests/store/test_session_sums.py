import pytest
from msgspec.structs import replace

from tests.support.sums import over
from vpn.domain.rollups import Sums
from vpn.domain.session import Session
from vpn.domain.spans import Range
from vpn.store.rollups import Rollups
from vpn.store.sessions import Batch, SessionStore
from vpn.store.statistics import StatisticsStore

pytestmark = pytest.mark.anyio
DAY = Range(86400, 2 * 86400)


async def test_what_is_stored_once_is_added_up_once(database):
    store = SessionStore(database, Rollups(database, {}, lambda: 90_000.0).add)
    batch = Batch(7, 100, [over(90_000.0).session])
    await store.write([batch])
    await store.write([batch])
    assert (await StatisticsStore(database).total(DAY))[1] == Sums(1, 0, 0, 10, 20, 2000)


async def test_what_cannot_be_stored_is_not_added_up(database):
    async def refuse(connection, stored):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await SessionStore(database, refuse).write([Batch(7, 100, [over(90_000.0).session])])
    assert await SessionStore(database).position(7) == 0


async def test_what_a_session_moves_while_it_is_stored_is_added_up_the_next_time(database):
    live = Session(1, "main", "192.0.2.1", 1, 90_000.0, bytes_sent=10)
    sums = Rollups(database, {}, lambda: 90_000.0)

    async def tally(connection, stored):
        live.bytes_sent += 1  # as the feed does, whatever we wait for
        await sums.add(connection, stored)
        live.bytes_received += 1

    store = SessionStore(database, tally)
    for _ in range(3):
        await store.checkpoint([live])
    await store.write([Batch(7, 100, [replace(live, status="closed", ended=90_001.0)])])
    assert (await StatisticsStore(database).total(DAY))[1] == Sums(1, 0, 0, 13, 3, 1000)
