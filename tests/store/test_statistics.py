from datetime import UTC, datetime

import pytest

from tests.support.sums import add, over
from vpn.domain.rollups import Sums
from vpn.domain.spans import DAY, HOUR, Range
from vpn.store.statistics import StatisticsStore, Subject

pytestmark = pytest.mark.anyio
BEGIN = int(datetime(2026, 1, 20, tzinfo=UTC).timestamp())
WEEK = Range(BEGIN, BEGIN + 7 * DAY)


@pytest.fixture
def store(database):
    return StatisticsStore(database)


async def test_the_first_by_bytes_and_by_sessions(store, url):
    many = [over(BEGIN + 1.0, "alice", moved=(1, 1)) for _ in range(3)]
    large = [over(BEGIN + DAY + 1.0, "bob", moved=(0, 100)), over(BEGIN + 2.0, "carol", moved=(3, 3))]
    await add(url, many + large, fold_at=BEGIN + 12 * HOUR)
    by_bytes = await store.top("user", WEEK, "bytes", 10)
    assert [name for name, _ in by_bytes.rows] == ["bob", "alice", "carol"], "equals are in order of their names"
    by_sessions = await store.top("user", WEEK, "sessions", 2)
    assert by_sessions.rows == [("alice", Sums(3, 0, 0, 3, 3, 6000)), ("bob", Sums(1, 0, 0, 0, 100, 2000))]
    assert by_sessions.total.sessions == 5
    assert (await store.top("user", WEEK, "bytes", 0)).rows == []


async def test_nothing_is_nothing(store):
    assert await store.total(WEEK) == (WEEK, Sums())
    assert (await store.top("user", WEEK, "bytes", 10)).rows == []
    assert await store.series(WEEK, "day", Subject()) == (WEEK, {})


async def test_a_series_is_of_folded_hours_and_of_those_that_are_not_yet(store, url):
    moments = [BEGIN + 1.0, BEGIN + HOUR + 1.0, BEGIN + 13 * HOUR, BEGIN + 3 * DAY]
    await add(url, [over(moment) for moment in moments], fold_at=BEGIN + 12 * HOUR)
    some = [over(moment, "bob") for moment in moments]
    await add(url, some)
    wide, days = await store.series(Range(BEGIN + 5, BEGIN + 6 * DAY), "day", Subject("user", "alice"))
    assert wide == Range(BEGIN, BEGIN + 6 * DAY)
    assert {start: sums.closed for start, sums in days.items()} == {BEGIN: 3, BEGIN + 3 * DAY: 1}
    _, hours = await store.series(Range(BEGIN + 5, BEGIN + 6 * DAY), "hour", Subject())
    assert {(start - BEGIN) // HOUR: sums.closed for start, sums in hours.items()} == {0: 2, 1: 2, 13: 2, 72: 2}
    _, months = await store.series(WEEK, "month", Subject())
    assert [sums.closed for sums in months.values()] == [8]


async def test_what_is_read_is_of_one_moment(database, url):
    reader = StatisticsStore(database)
    async with database.begin_reading() as connection:
        before = (await connection.exec_driver_sql("SELECT count(*) FROM rollups")).scalar()
        await add(url, [over(BEGIN + 1.0)])
        assert (await connection.exec_driver_sql("SELECT count(*) FROM rollups")).scalar() == before == 0
    assert (await reader.total(WEEK))[1].closed == 1


async def test_when_somebody_moved_something_last(store, url):
    ended = [over(BEGIN + 5 * HOUR, "alice"), over(BEGIN + 6 * DAY + HOUR + 5, "bob"), over(BEGIN + 6 * DAY, "bob")]
    idle = [over(BEGIN + 6 * DAY, "carol", moved=(0, 0))]
    await add(url, ended + idle, fold_at=BEGIN + 7 * DAY)
    seen = await store.last_seen("user", WEEK)
    assert seen == {"alice": BEGIN, "bob": BEGIN + 6 * DAY + HOUR}, "long ago, the day is enough"
    assert await store.last_seen("user", Range(BEGIN + 7 * DAY, BEGIN + 8 * DAY)) == {}
