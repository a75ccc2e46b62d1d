from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from vpn.domain.errors import Invalid
from vpn.domain.session import Session
from vpn.services.metrics_history import Point
from vpn.services.outline.keys import NewKey
from vpn.services.outline.metrics import MetricsService, Sources, Speed
from vpn.store.statistics import StatisticsStore
from vpn.store.usage import Counted, UsageStore

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOUR = datetime(2026, 3, 31, 12, tzinfo=UTC)


class Figures:
    """What is known besides what keys have moved."""

    def __init__(self, outline, database):
        self.outline = outline
        self.usage = UsageStore(database)
        self.zones = {}
        self.live = []
        self.points = []
        sources = Sources(
            outline.keys._store,
            self.usage,
            StatisticsStore(database),
            lambda: self.zones,
            self.live,
            self.points,
            lambda: 7.0,
        )
        self.service = MetricsService(outline.keys, sources, lambda: NOW)

    async def key(self, *days):
        """A key that moved 300 bytes on each of these days."""
        key = await self.outline.keys.add(NewKey())
        for meter, day in enumerate(days, 1):
            await self.usage.book(int(key.id) * 100 + meter, [Counted(int(key.id), 100, 200, day, HOUR)])
        return key


@pytest.fixture
def figures(outline, database):
    return Figures(outline, database)


def day(month, number):
    return datetime(2026, month, number, tzinfo=UTC).date()


async def test_bytes_of_the_last_thirty_days(figures):
    """They end on 31 March: the first is 2 March."""
    key = await figures.key(day(3, 1), day(3, 2), day(3, 31))
    await figures.key(day(3, 1))
    await figures.key()
    assert await figures.service.transfer() == {key.id: 600}
    told = await figures.service.figures("30d")
    assert {each.id: each.bytes for each in told.keys if each.bytes} == {key.id: 600}
    assert {each.id: each.bytes for each in (await figures.service.figures("1d")).keys if each.bytes} == {key.id: 300}
    figures.zones[int(key.id)] = ZoneInfo("Pacific/Kiritimati")  # where it is 1 April already
    assert await figures.service.transfer() == {key.id: 300}


async def test_the_peak_is_of_the_points_that_are_remembered(figures):
    for moment, total in ((100.0, 0.0), (105.0, 500.0), (110.0, 520.0), (110.0, 900.0), (120.0, 100.0)):
        figures.points.append(Point(moment, 0, 0, 0, total / 2, total / 2, 0, 0))
    told = await figures.service.figures("30d")
    assert (told.peak, told.current) == (Speed(100.0, 105), Speed(7.0, int(NOW.timestamp())))


async def test_addresses_are_devices(figures):
    key = await figures.key()
    name = f"key-{key.id}"
    for number, host in enumerate(("192.0.2.1", "192.0.2.1", "192.0.2.2"), 1):
        figures.live.append(Session(number, "outline", host, 1000 + number, 0.0, user=name))
    [told] = (await figures.service.figures("12h")).keys
    assert (told.devices, told.last_seen, told.seconds) == (2, int(NOW.timestamp()), 0.0)


@pytest.mark.parametrize("since", ["", "soon", "0", "36d", "-1d"])
async def test_times_that_are_none(figures, since):
    with pytest.raises(Invalid):
        await figures.service.figures(since)
