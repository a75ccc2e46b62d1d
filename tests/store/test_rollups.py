import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from tests.support.sums import expected, over, stored
from vpn.domain.rollups import KINDS, OTHERS, Sums
from vpn.domain.spans import DAY, HOUR, Progress, Range, floor, starts
from vpn.store.rollups import SETTLE, Rollups
from vpn.store.statistics import StatisticsStore, Subject
from vpn.store.tables import rollup_progress, rollups

pytestmark = pytest.mark.anyio
BEGIN = int(datetime(2026, 1, 20, tzinfo=UTC).timestamp())
END = BEGIN + 44 * DAY  # into the third month


class Books:
    """Sums in a database, at a moment that a test moves on."""

    def __init__(self, database, most=None):
        self.database = database
        self.now = float(BEGIN)
        self.rollups = Rollups(database, most or {}, lambda: self.now)
        self.statistics = StatisticsStore(database)
        self.told = []

    async def add(self, some):
        async with self.database.begin_writing() as connection:
            await self.rollups.add(connection, some)
        self.told += [(self.now, each) for each in some]

    async def fold(self, now):
        """Fold all that is over by then; how many steps that took."""
        self.now = now
        steps = 0
        while await self.rollups.fold():
            steps += 1
        return steps

    async def sweep(self):
        while await self.rollups.sweep():
            pass

    async def rows(self, **where):
        query = select(rollups).order_by(*rollups.primary_key)
        for name, value in where.items():
            query = query.where(rollups.c[name] == value)
        async with self.database.begin() as connection:
            return (await connection.execute(query)).all()

    async def empty(self):
        async with self.database.begin() as connection:
            await connection.execute(delete(rollups))
            await connection.execute(update(rollup_progress).values(folded=0, hours_from=0, days_from=0))


@pytest.fixture
def books(database):
    return Books(database)


def session(ended=BEGIN + 10.0, **fields):
    return over(ended, **fields)


async def check(books, wanted):
    """Everything that is told of a range is what it comes to in the plainest way."""
    wide, total = await books.statistics.total(wanted)
    assert wide.first <= wanted.first < wanted.end <= wide.end
    assert {"": total} == (expected(books.told, "all", wide) or {"": Sums()})
    for kind in KINDS:
        ranking = await books.statistics.top(kind, wanted, "bytes", 100)
        assert ranking.range == wide
        assert ranking.total == total
        assert dict(ranking.rows) == expected(books.told, kind, wide)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(stored(BEGIN, END), max_size=5)),
        st.tuples(st.just("fold"), st.integers(BEGIN, END)),
        st.tuples(st.just("forget"), st.integers(1, 40)),
    ),
    max_size=12,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, pair=st.lists(st.integers(BEGIN, END), min_size=2, max_size=2, unique=True))
async def test_sums_are_right_whatever_was_folded_and_came_late(books, steps, pair):
    await books.empty()
    books.told.clear()
    books.now = float(BEGIN)
    for step, value in steps:
        if step == "add":
            await books.add(value)
        elif step == "fold":
            await books.fold(max(books.now, float(value)))
        else:
            await books.rollups.forget(value, value)
            await books.sweep()
    await check(books, Range(*sorted(pair)))
    progress = await books.statistics.progress()
    for by, kept_from in (("day", progress.days_from), ("month", 0)):
        wanted = Range(max(pair[0], kept_from), max(pair[0], kept_from) + 40 * DAY)
        wide, series = await books.statistics.series(wanted, by, Subject("user", "alice"))
        for start in starts(by, wide):
            spans = Range(start, start + 1)
            end = (await books.statistics.series(spans, by, Subject()))[0].end
            alice = expected(books.told, "user", Range(start, end)).get("alice")
            assert series.get(start) == alice


async def test_folding_keeps_to_whole_hours_and_does_it_once(books):
    await books.add([session(ended=BEGIN + 10.0), session(ended=BEGIN + HOUR + 10.0)])
    assert not await books.fold(0.0)
    assert await books.fold(BEGIN + HOUR + SETTLE)
    assert not await books.fold(BEGIN + HOUR + SETTLE + 60)
    for span in ("day", "month"):
        [row] = await books.rows(kind="user", span=span)
        assert (row.start, row.key, row.closed, row.bytes_received) == (floor(span, BEGIN), "alice", 1, 20)
    assert await books.fold(BEGIN + 2 * HOUR + SETTLE)
    assert {row.closed for row in await books.rows(kind="user") if row.span != "hour"} == {2}


async def test_hours_of_a_clock_that_was_wrong_are_folded_day_by_day(books):
    await books.add([session(ended=at) for at in (10.0, DAY + 10.0, DAY + HOUR + 10.0, 40 * DAY + 10.0, BEGIN + 10.0)])
    assert await books.fold(BEGIN + DAY) == 4, "days with nothing in them take no step"
    assert [(row.start, row.closed) for row in await books.rows(kind="all", span="day")] == [
        (0, 1),
        (DAY, 2),
        (40 * DAY, 1),
        (BEGIN, 1),
    ]
    await check(books, Range(0, BEGIN + DAY))


async def test_what_comes_late_is_in_the_day_and_the_month(books):
    await books.fold(BEGIN + 40 * DAY)
    await books.add([session(ended=BEGIN + 10.0)])
    assert {(row.span, row.closed) for row in await books.rows(kind="all")} == {("hour", 1), ("day", 1), ("month", 1)}
    await check(books, Range(BEGIN, BEGIN + 40 * DAY))


async def test_a_transaction_that_fails_adds_nothing(books):
    with pytest.raises(ZeroDivisionError):
        async with books.database.begin_writing() as connection:
            await books.rollups.add(connection, [session()])
            raise ZeroDivisionError
    assert await books.rows() == []


async def test_nothing_is_folded_while_something_is_added(books):
    async with books.database.begin_writing() as connection:
        await books.rollups.add(connection, [session()])
        folding = asyncio.create_task(books.fold(BEGIN + DAY))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.shield(folding)
    assert await folding
    assert [row.closed for row in await books.rows(kind="all", span="day")] == [1]


async def test_nothing_to_add(books):
    await books.add([])
    assert await books.rows() == []


async def test_hours_and_days_are_forgotten_in_time_and_months_stay(books):
    await books.add([session(ended=BEGIN + day * DAY + 10.0) for day in range(70)])
    await books.fold(BEGIN + 70 * DAY + SETTLE)
    await books.rollups.forget(10, 40)
    await books.sweep()
    assert {row.start for row in await books.rows(kind="all", span="hour")} == {
        floor("hour", BEGIN + day * DAY) for day in range(60, 70)
    }
    first_of_march = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
    days = await books.rows(kind="all", span="day")
    assert days[0].start == floor("month", BEGIN + 30 * DAY) < first_of_march
    assert sum(row.closed for row in await books.rows(kind="all", span="month")) == 70
    await check(books, Range(BEGIN + 5 * DAY, BEGIN + 70 * DAY))
    # Longer again: what is gone does not come back, and nobody asks for it.
    await books.rollups.forget(3660, 36_600)
    await check(books, Range(BEGIN + 5 * DAY + 7, BEGIN + 70 * DAY))
    assert (await books.statistics.progress()).hours_from == BEGIN + 60 * DAY


async def test_a_million_names_find_no_room(database):
    books = Books(database, {"destination": 20})
    loved = [session(host="loved.example", moved=(10**6, 10**6)) for _ in range(3)]
    await books.add(loved)
    for batch in range(5):
        await books.add([session(host=f"made-up-{batch}-{name}.example") for name in range(100)] + loved[:1])
    hours = await books.rows(kind="destination", span="hour")
    assert len(hours) <= 41
    by_key = {row.key: row for row in hours}
    assert by_key["loved.example"].closed == 8
    assert sum(row.closed for row in hours) == 508
    assert by_key[OTHERS].closed > 400
    assert len(await books.rows(kind="user", span="hour")) == 1, "other kinds have their own bounds"
    ranking = await books.statistics.top("destination", Range(BEGIN, BEGIN + HOUR), "bytes", 100)
    assert ranking.rows[0][0] == "loved.example"
    assert OTHERS not in dict(ranking.rows)
    assert ranking.total.sessions == 508


async def test_a_day_of_many_names_is_bounded_too(database):
    books = Books(database, {"destination": 20})
    for hour in range(5):
        some = [session(host=f"{hour}-{name}.example", ended=BEGIN + hour * HOUR + 1.0) for name in range(20)]
        await books.add(some)
        await books.fold(BEGIN + (hour + 1) * HOUR + SETTLE)
    for span in ("day", "month"):
        rows = await books.rows(kind="destination", span=span)
        assert len(rows) <= 41
        assert sum(row.closed for row in rows) == 100
    # What is late is bounded as well.
    await books.add([session(host=f"late-{name}.example", ended=BEGIN + 9.0) for name in range(100)])
    assert len(await books.rows(kind="destination", span="day")) <= 41


async def test_a_name_that_is_known_stays_apart_however_many_others_come(database):
    books = Books(database, {"destination": 5})
    await books.add([session(host="small.example", moved=(0, 1))])
    new = [session(host=f"{name}.example") for name in range(6)]
    await books.add([*new, session(host="small.example", moved=(0, 1))])
    [row] = await books.rows(kind="destination", span="hour", key="small.example")
    assert row.closed == 2


async def test_the_migration_leaves_one_row_of_progress(books):
    async with books.database.begin() as connection:
        assert await connection.scalar(select(func.count()).select_from(rollup_progress)) == 1
    assert await books.statistics.progress() == Progress()
