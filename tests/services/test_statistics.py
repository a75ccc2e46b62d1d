import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.support.sums import over
from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.rollups import Sums
from vpn.domain.session import Session
from vpn.domain.spans import DAY, HOUR, Range
from vpn.proxy.control import Moved, Report
from vpn.services.live_sessions import LiveSessions
from vpn.services.statistics import StatisticsService, Totals
from vpn.services.unstored import Unstored
from vpn.settings.statistics import StatisticsSettings
from vpn.store.rollups import Rollups
from vpn.store.sessions import Batch, SessionStore
from vpn.store.statistics import StatisticsStore, Subject

pytestmark = pytest.mark.anyio
NOW = int(datetime(2026, 5, 20, 13, 30, tzinfo=UTC).timestamp())


class Books:
    """Statistics over a database, at a moment that a test moves on."""

    def __init__(self, database):
        self.now = float(NOW)
        self.live = LiveSessions()
        self.rollups = Rollups(database, {}, lambda: self.now)
        self.store = StatisticsStore(database)
        settings = StatisticsSettings(hours_kept=1, days_kept=31)
        self.sessions = SessionStore(database, self.rollups.add)
        self.waiting = []
        unstored = Unstored(self.live, self.sessions, lambda: self.waiting)
        self.service = StatisticsService(self.store, self.rollups, unstored, settings, lambda: self.now)
        self.database = database

    async def add(self, *some):
        async with self.database.begin_writing() as connection:
            await self.rollups.add(connection, some)


@pytest.fixture
def books(database):
    return Books(database)


def back(**ago):
    seconds = ago.get("days", 0) * DAY + ago.get("hours", 0) * HOUR
    return Range(NOW - seconds, NOW)


async def test_live_sessions_are_in_the_totals_with_what_nobody_was_told(books):
    live = [Session(number, "main", "192.0.2.1", 1, NOW - 5.0, bytes_sent=100, bytes_received=50) for number in (1, 2)]
    books.live.hear(0, Report(0, 0, 0, 0, live=live, moved=[]), [])
    await books.add(over(NOW - 10.0))
    for stored in live:
        totals = await books.service.totals(back(hours=1))
        assert (totals.active, totals.sums.closed) == (2, 1)
        assert (totals.sums.bytes_sent, totals.sums.bytes_received) == (100 + 100 + 10, 50 + 50 + 20)
        await books.sessions.checkpoint([stored])
    books.live.hear(0, Report(0, 0, 0, 0, live=[], moved=[Moved(1, 107, 50, 0, 0)]), [])
    totals = await books.service.totals(back(hours=1))
    assert (totals.sums.bytes_sent, totals.sums.bytes_received) == (107 + 100 + 10, 50 + 50 + 20)
    past = await books.service.totals(Range(NOW - 2 * HOUR, NOW - HOUR))
    assert (past.active, past.sums) == (0, Sums())


async def test_totals_only_grow_while_a_session_lives_ends_waits_and_is_stored(books):
    session = Session(1, "main", "192.0.2.1", 1, NOW - 5.0, bytes_sent=100)
    books.live.hear(0, Report(0, 0, 0, 0, live=[session]), [])
    await books.sessions.checkpoint([session])
    ended = msgspec.structs.replace(session, status="closed", bytes_sent=130, ended=NOW - 1.0)
    books.live.hear(0, Report(0, 0, 0, 0), [ended])
    books.waiting.append(ended)
    complete = Totals(Range(NOW - 30 * 60 - HOUR, NOW + 30 * 60), Sums(1, 0, 0, 130, 0, 4000), 0)
    assert await books.service.totals(back(hours=1)) == complete
    assert (await books.service.totals(Range(NOW - 2 * HOUR, NOW - HOUR))).sums == Sums()
    await books.sessions.write([Batch(1, 8, [ended])])
    books.waiting.clear()
    assert await books.service.totals(back(hours=1)) == complete
    assert books.sessions.told(1) == (0, 0)


async def test_what_is_stored_while_totals_are_read_is_in_them_once(books, monkeypatch):
    session = Session(1, "main", "192.0.2.1", 1, NOW - 5.0, bytes_sent=100)
    books.live.hear(0, Report(0, 0, 0, 0, live=[session]), [])
    total = books.store.total
    steps = [True]

    async def total_meanwhile(wanted):
        found = await total(wanted)
        if steps:
            steps.pop()
            await books.sessions.checkpoint([session])
        return found

    monkeypatch.setattr(books.store, "total", total_meanwhile)
    assert (await books.service.totals(back(hours=1))).sums.bytes_sent == 100


@pytest.mark.parametrize(
    ("wanted", "by", "count"), [(back(days=1), "hour", 25), (back(days=30), "day", 31), (back(days=400), "month", 14)]
)
async def test_a_series_has_points_that_suit_it_and_no_gaps(books, wanted, by, count):
    await books.add(over(NOW - 10.0))
    series = await books.service.series(wanted)
    assert (series.by, len(series.points)) == (by, count)
    assert [sums.sessions for _, sums in series.points] == [0] * (count - 1) + [1]
    assert series.points[0][0] == series.range.first


async def test_a_series_of_what_is_kept_no_more(books):
    await books.add(over(NOW - 10 * DAY), over(NOW - 100 * DAY))
    await books.service.tidy()
    for wanted, by in ((back(days=3), "hour"), (back(days=90), "day")):
        with pytest.raises(Invalid) as error:
            await books.service.series(wanted, by)
        assert error.value.code == "span_gone"
    assert (await books.service.series(back(days=2))).by == "day"
    assert (await books.service.series(back(days=90))).by == "month"
    assert (await books.service.totals(back(days=200))).sums.closed == 2


async def test_a_series_is_bounded(books):
    with pytest.raises(Invalid) as error:
        await books.service.series(back(days=42), "hour")
    assert error.value.code == "too_many_points"
    assert len((await books.service.series(Range(0, NOW))).points) < 1000


async def test_tidying_folds_and_forgets(books):
    await books.add(over(NOW - 5 * DAY))
    await books.service.tidy()
    progress = await books.store.progress()
    assert progress.folded == NOW - 1800
    assert progress.hours_from == NOW - 13 * HOUR - 1800 - DAY
    assert (await books.store.series(back(days=6), "hour", Subject()))[1] == {}
    assert (await books.service.totals(back(days=6))).sums.closed == 1


async def test_all_days_are_tidied_at_once(books):
    await books.add(*(over(float(DAY * number)) for number in range(5)), over(NOW - 5 * DAY))
    await books.service.tidy()
    assert (await books.store.progress()).folded == NOW - 1800
    assert (await books.service.totals(Range(0, NOW))).sums.closed == 6


async def test_what_cannot_be_tidied_now_is_tidied_later(books, monkeypatch):
    fold = books.rollups.fold
    asked = asyncio.Event()
    answers = [ZeroDivisionError(), Unavailable("database_unreachable", "gone", "wait")]

    async def once_refused():
        if answers:
            raise answers.pop()
        asked.set()
        return await fold()

    monkeypatch.setattr(books.rollups, "fold", once_refused)
    monkeypatch.setattr("vpn.services.statistics._PERIOD", 0.0)
    with capture_logs() as logs:
        running = asyncio.create_task(books.service.run())
        async with asyncio.timeout(5):
            await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [line["event"] for line in logs] == [
        "statistics cannot be put in order now",
        "defect while putting statistics in order",
    ]
