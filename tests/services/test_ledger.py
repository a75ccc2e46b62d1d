import asyncio
import errno
import os
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from vpn.domain.errors import Unavailable
from vpn.proxy.meter import DOWN, OPENED, UP, Meter
from vpn.services.ledger import Ledger
from vpn.store.usage import UsageStore

pytestmark = pytest.mark.anyio
EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()


class House:
    """A ledger, and what workers and the store have to do with it."""

    def __init__(self, path, database):
        self.path = path
        self.usage = UsageStore(database)
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.ledgers = []
        self.descriptors = []

    async def open(self, zones=None, workers=2):
        ledger = Ledger(self.path, self.usage, lambda: self.now)
        self.descriptors.append(await ledger.open(workers, zones or {}))
        self.ledgers.append(ledger)
        return ledger

    def kill(self):
        """The daemon and its workers are gone from one moment to the next."""
        ledger = self.ledgers.pop()
        os.close(self.descriptors.pop())
        ledger._meter.close()
        os.close(ledger._fd)

    def move(self, number, worker=0, up=0, down=0):
        ledger = self.ledgers[-1]
        first = ledger.meter.count(worker, ledger.slot(number))
        ledger.meter.cells[first + UP] += up
        ledger.meter.cells[first + DOWN] += down

    async def total(self, number):
        return (await self.usage.since([(number, EPOCH)])).get(number, 0)


@pytest.fixture
async def house(tmp_path, database):
    house = House(tmp_path / "meter", database)
    yield house
    for ledger in house.ledgers:
        await ledger.close({})
    for descriptor in house.descriptors:
        os.close(descriptor)


async def test_what_all_workers_counted_is_booked_once(house):
    ledger = await house.open()
    house.move(7, 0, up=10)
    house.move(7, 1, down=5)
    assert ledger.look() == {7}
    for _ in range(3):
        await ledger.book({})
    assert await house.total(7) == 15
    assert (ledger.moved(7), ledger.booked(7)) == (15, 15)
    assert ledger.look() == set()


async def test_connecting_is_something_too(house):
    ledger = await house.open()
    ledger.meter.cells[ledger.meter.count(1, ledger.slot(8)) + OPENED] += 1
    assert ledger.look() == {8}
    await ledger.book({})
    assert await house.usage.known() == set()


async def test_after_a_crash_what_was_not_booked_is(house):
    ledger = await house.open()
    house.move(7, up=10)
    ledger.look()
    await ledger.book({})
    house.move(7, up=5)
    house.move(9, down=3)
    house.kill()
    await house.open()
    assert (await house.total(7), await house.total(9)) == (15, 3)
    house.kill()
    await house.open()
    assert (await house.total(7), await house.total(9)) == (15, 3)


async def test_a_crash_between_booking_and_beginning_anew_books_nothing_twice(house, monkeypatch):
    await house.open()
    house.move(7, up=10)
    house.kill()

    def crash(self, workers):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_begin", crash)
        with pytest.raises(RuntimeError, match="killed"):
            await house.open()
    assert await house.total(7) == 10
    await house.open()
    assert await house.total(7) == 10


async def test_while_the_store_is_away_nothing_is_lost(house, monkeypatch):
    ledger = await house.open()
    house.move(7, up=10)
    ledger.look()

    async def away(*_):
        raise Unavailable("database_unreachable", "away", "wait")

    with monkeypatch.context() as patch:
        patch.setattr(house.usage, "book", away)
        with pytest.raises(Unavailable):
            await ledger.book({})
        house.kill()
        with pytest.raises(Unavailable):
            await house.open()
    await house.open()
    assert await house.total(7) == 10


async def test_what_could_not_be_booked_is_booked_when_the_store_is_back(house, monkeypatch):
    ledger = await house.open()
    house.move(7, up=10)
    ledger.look()

    async def away(*_):
        raise Unavailable("database_unreachable", "away", "wait")

    with monkeypatch.context() as patch:
        patch.setattr(house.usage, "book", away)
        with pytest.raises(Unavailable):
            await ledger.book({})
    await ledger.book({})
    assert await house.total(7) == 10


async def test_bytes_are_booked_on_the_day_where_the_user_is(house):
    house.now = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    zones = {7: ZoneInfo("Europe/Berlin")}
    ledger = await house.open(zones)
    house.move(7, up=1)
    house.move(8, up=1)
    ledger.look()
    await ledger.book(zones)
    assert [str((await house.usage.days(user, EPOCH))[0].day) for user in (7, 8)] == ["2026-11-21", "2026-11-20"]
    house.move(7, up=1)
    house.kill()
    await house.open(zones)
    assert len(await house.usage.days(7, EPOCH)) == 1


async def test_slots_are_given_anew_only_when_all_have_been(house):
    ledger = await house.open()
    first, second = ledger.slot(7), ledger.slot(8)
    assert first != second
    assert ledger.slot(7) == first
    house.move(7, up=10)
    ledger.release({8})
    assert ledger.meter.number(first) == 0
    assert ledger.slot(9) not in (first, second)
    ledger._next = first
    assert ledger.slot(10) == first
    assert ledger.moved(10) == 0


async def test_when_there_is_no_room_that_is_told(house, monkeypatch):
    monkeypatch.setattr("vpn.services.ledger.SLOTS", 3)
    ledger = await house.open()
    assert [ledger.slot(number) for number in (7, 8, 9)] == [1, 2, 0]
    ledger.release({8})
    assert ledger.slot(9) == 1


async def test_who_there_is_no_space_for_on_the_disk_has_no_slot_until_there_is(house, monkeypatch, capsys):
    monkeypatch.setattr("vpn.services.ledger.RESERVED", 4)
    ledger = await house.open()

    def full(self, fd, slot):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Meter, "reserve", full)
        assert [ledger.slot(number) for number in (11, 12, 13, 14, 15)] == [1, 2, 3, 0, 0]
    assert capsys.readouterr().out.count("users cannot be counted, and not let in") == 1
    assert [ledger.slot(number) for number in (14, 15)] == [4, 5]


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000])
async def test_a_damaged_file_is_kept_aside(house, content, capsys):
    house.path.write_bytes(content)
    await house.open()
    assert house.path.with_suffix(".damaged").read_bytes() == content
    assert "the meter is damaged" in capsys.readouterr().out


async def test_it_waits_for_workers_that_still_write(house):
    await house.open()
    house.move(7, up=1)
    slot = house.ledgers[-1].slot(7)
    worker = os.dup(house.descriptors[-1])
    house.kill()
    opening = asyncio.create_task(house.open())
    await asyncio.sleep(0)
    meter = Meter(worker)
    meter.cells[meter.count(1, slot) + UP] += 41
    meter.close()
    assert not opening.done()
    os.close(worker)
    await opening
    assert await house.total(7) == 42


async def test_workers_that_never_end_are_an_error(house, monkeypatch):
    monkeypatch.setattr("vpn.services.ledger.PATIENCE", 0.05)
    await house.open()
    worker = os.dup(house.descriptors[-1])
    house.kill()
    with pytest.raises(Unavailable, match="still writing"):
        await house.open()
    os.close(worker)


async def test_what_is_left_at_the_end_is_booked(house):
    ledger = await house.open()
    house.move(7, up=10)
    await ledger.close({})
    assert await house.total(7) == 10
    assert not ledger.is_open


async def test_the_file_is_private(house):
    await house.open()
    assert house.path.stat().st_mode & 0o777 == 0o600
    assert house.path.stat().st_blocks * 512 < 1024 * 1024


async def test_a_place_that_cannot_be_written(tmp_path, database):
    ledger = Ledger(tmp_path / "no" / "meter", UsageStore(database), partial(datetime.now, UTC))
    with pytest.raises(Unavailable, match="No such file"):
        await ledger.open(1, {})
