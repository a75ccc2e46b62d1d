import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from tests.support.plane import accounts_in
from vpn.domain.egress import Egress
from vpn.domain.errors import Unavailable
from vpn.proxy.meter import OPENED, UP, Meter
from vpn.services.enforcement import Enforcement
from vpn.services.groups import GroupService
from vpn.services.ledger import Ledger
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.services.users import UserService
from vpn.store.groups import GroupStore
from vpn.store.usage import UsageStore
from vpn.store.users import UserStore

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


class House:
    """The services around enforcement, with a clock that the test sets and workers that are the test."""

    def __init__(self, tmp_path, database):
        self.now = NOON
        self.path = tmp_path / "meter"
        self.store, self.groups_store = UserStore(database), GroupStore(database)
        self.usage = UsageStore(database)
        self.published = []
        self.build()

    def build(self):
        clock = lambda: self.now  # noqa: E731
        self.ledger = Ledger(self.path, self.usage, clock)
        self.enforcement = Enforcement(self.store, self.groups_store, self.usage, self.ledger, Shaping(0, 0), clock)
        self.snapshots = Snapshots(self.enforcement.arrange, Egress())
        self.snapshots.publish_to(self.publish)
        self.users = UserService(self.store, self.snapshots, clock)
        self.groups = GroupService(self.groups_store, self.snapshots, clock)

    async def publish(self, snapshot):
        self.published.append({user.name: user for user in snapshot.users})

    async def open(self):
        os.close(await self.ledger.open(2, await self.enforcement.find_zones()))
        await self.snapshots.publish()

    async def restart(self):
        await self.ledger.close(self.enforcement.zones())
        self.build()
        await self.open()

    async def add(self, name="alice", **limits):
        await self.users.add(name, "s3cret", limits=limits)

    def user(self, name="alice"):
        return self.published[-1][name]

    async def used(self, name="alice"):
        return (await self.enforcement.standing((await self.store.get(name)).number)).used

    def move(self, count, name="alice", worker=0):
        cells = self.ledger.meter.cells
        cells[self.ledger.meter.count(worker, self.user(name).slot) + UP] += count

    async def look(self):
        """What happens every quarter of a second; returns why alice may not connect."""
        if await self.enforcement._look():
            await self.snapshots.publish()
        return self.user().blocked

    def budget(self, name="alice", worker=1):
        fd = os.open(self.path, os.O_RDWR)
        accounts = accounts_in(Meter(fd), worker)
        os.close(fd)
        return accounts.of(name, self.published[-1].get).budget()


@pytest.fixture
async def house(tmp_path, database):
    house = House(tmp_path, database)
    await house.open()
    yield house
    await house.ledger.close({})


async def test_a_quota_ends_where_it_should_and_the_user_is_blocked(house):
    await house.add(data_limit="1000")
    house.move(999)
    assert (await house.look(), house.budget()) == ("", 1)
    house.move(1, worker=1)
    assert (house.budget(), await house.look()) == (0, "over_quota")


async def test_raised_it_works_again_at_once(house):
    await house.add(data_limit="1000")
    house.move(1500)
    assert await house.look() == "over_quota"
    await house.users.edit("alice", limits={"data_limit": "2000"})
    assert (house.user().blocked, house.budget() > 0) == ("", True)
    await house.users.edit("alice", limits={"data_limit": None})
    assert house.budget() > 2**30


async def test_what_is_booked_while_the_store_is_asked_is_counted_once(house, monkeypatch):
    await house.add(data_limit="1000")
    since, bookings = house.usage.since, []

    async def ask(users):
        moved = await since(users)
        if not bookings:
            house.move(600)
            house.ledger.look()
            bookings.append(asyncio.create_task(house.ledger.book({})))
            await asyncio.wait(bookings, timeout=0.3)  # it may try
        return moved

    monkeypatch.setattr(house.usage, "since", ask)
    await house.users.edit("alice", limits={"reset": "daily"})
    await bookings[0]
    assert await house.used() == 600
    house.move(400)
    assert (await house.look(), house.budget()) == ("over_quota", 0)


async def test_a_first_use_is_noted_though_others_are_looked_at_anew_meanwhile(house):
    await house.add()
    await house.add("bob")
    house.ledger.meter.cells[house.ledger.meter.count(0, house.user().slot) + OPENED] += 1
    await house.users.edit("bob", limits={"reset": "daily"})
    await house.look()
    assert (await house.store.get("alice")).first_used_at == NOON


async def test_when_there_is_room_again_who_had_none_gets_it(house, monkeypatch):
    monkeypatch.setattr("vpn.services.ledger.SLOTS", 2)
    await house.add()
    await house.add("bob", data_limit="1000")
    assert house.user("bob").blocked == "no_room"
    await house.users.remove("alice")
    await house.snapshots.publish()
    assert house.user("bob").blocked == ""
    house.move(1000, "bob")
    assert house.budget("bob") == 0


async def test_a_quota_that_ends_while_the_store_is_away_is_seen_later(house, monkeypatch):
    await house.add(data_limit="1000")
    house.move(1000)

    async def away(*_):
        raise Unavailable("database_unreachable", "away", "wait")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "note_first_uses", away)
        with pytest.raises(Unavailable):
            await house.look()
    assert await house.look() == "over_quota"
    assert (await house.store.get("alice")).first_used_at == NOON


async def test_forgiven_while_others_are_looked_up_it_works_again_too(house, monkeypatch):
    await house.add(data_limit="1000")
    await house.add("bob")
    house.move(1500)
    assert await house.look() == "over_quota"
    number, quotas = (await house.store.get("alice")).number, house.usage.quotas
    calls = []

    async def ask():
        calls.append(1)
        if len(calls) == 1:
            await house.enforcement.forgive(number)
        return await quotas()

    monkeypatch.setattr(house.usage, "quotas", ask)
    await house.users.edit("bob", limits={"reset": "daily"})
    assert calls
    await house.snapshots.publish()
    assert (house.user().blocked, await house.used()) == ("", 0)


async def test_forgiven_it_works_again_and_counts_from_nothing(house):
    await house.add(data_limit="1000")
    house.move(1500)
    assert await house.look() == "over_quota"
    await house.enforcement.forgive((await house.store.get("alice")).number)
    await house.snapshots.publish()
    assert house.user().blocked == ""
    house.move(999)
    assert await house.look() == ""
    await house.restart()
    assert house.user().blocked == ""
    house.move(1)
    assert await house.look() == "over_quota"


@pytest.mark.parametrize("reset", ["hourly", "daily", "weekly", "monthly", "yearly"])
async def test_another_period_begins_with_nothing(house, reset):
    await house.add(data_limit="1000", reset=reset, timezone="Europe/Berlin")
    house.move(1500)
    assert await house.look() == "over_quota"
    house.now += timedelta(minutes=30)
    assert await house.look() == "over_quota"
    house.now = {
        "hourly": datetime(2026, 11, 20, 13, tzinfo=UTC),
        "daily": datetime(2026, 11, 20, 23, tzinfo=UTC),
        "weekly": datetime(2026, 11, 22, 23, tzinfo=UTC),
        "monthly": datetime(2026, 11, 30, 23, tzinfo=UTC),
        "yearly": datetime(2026, 12, 31, 23, tzinfo=UTC),
    }[reset] - timedelta(seconds=1)
    assert await house.look() == "over_quota"
    house.now += timedelta(seconds=1)
    assert await house.look() == ""
    house.move(999)
    assert await house.look() == ""
    house.move(1)
    assert await house.look() == "over_quota"


async def test_a_rolling_period_forgets_what_is_thirty_days_old(house):
    await house.add(data_limit="1000", reset="rolling")
    house.move(600)
    await house.look()
    await house.ledger.book({})
    house.now += timedelta(days=10)
    house.move(400)
    assert await house.look() == "over_quota"
    house.now += timedelta(days=19)
    assert await house.look() == "over_quota"
    house.now += timedelta(days=1)
    assert await house.look() == ""
    assert await house.used() == 400
    house.now += timedelta(days=10)
    await house.look()
    assert await house.used() == 0


async def test_a_period_goes_on_after_a_restart(house):
    await house.add(data_limit="1000", reset="monthly")
    await house.add("bob", data_limit="1000", reset="hourly")
    house.move(700)
    house.move(700, "bob")
    await house.look()
    await house.restart()
    house.move(299)
    house.move(299, "bob")
    assert (await house.look(), house.user("bob").blocked) == ("", "")
    house.move(1)
    house.move(1, "bob")
    assert (await house.look(), house.user("bob").blocked) == ("over_quota", "over_quota")
    await house.restart()
    assert (house.user().blocked, house.user("bob").blocked) == ("over_quota", "over_quota")


async def test_throttled_instead_of_cut(house):
    await house.add(data_limit="1000", throttle="64kbit")
    house.move(5000)
    assert await house.look() == ""
    assert house.budget() > 2**30
    count = len(house.published)
    house.move(5000)
    assert await house.look() == ""
    assert len(house.published) == count  # once is enough


async def test_warnings_are_given_once(house):
    await house.add(data_limit="1000", warn_at=[50, 90], reset="daily")
    with capture_logs() as lines:
        for count in (499, 1, 100, 300, 1, 99):
            house.move(count)
            await house.look()
        await house.enforcement._note_warnings()
        await house.restart()
        await house.look()
        house.now += timedelta(days=1)
        await house.look()
        house.move(600)
        await house.look()
    told = [(line["event"], line["percent"]) for line in lines if "percent" in line]
    assert told == [("quota nearly used up", 50), ("quota nearly used up", 90), ("quota used up", 100), told[-1]]
    assert told[-1] == ("quota nearly used up", 50)


async def test_who_is_kept_out_and_who_was_warned_is_counted(house):
    await house.add(data_limit="1000", warn_at=[50])
    house.move(500)
    await house.look()
    assert (house.enforcement.kept_out(), house.enforcement.warned()) == ({}, 1)
    assert house.enforcement.events == {"warned": 1, "reached": 0}
    house.move(500)
    await house.look()
    assert house.enforcement.kept_out() == {"over_quota": 1}
    assert house.enforcement.events == {"warned": 1, "reached": 1}


async def test_a_user_expires(house):
    await house.add(expires_at="2026-11-20T13:00:00Z")
    assert await house.look() == ""
    house.now += timedelta(hours=1)
    assert await house.look() == "user_expired"


async def test_counted_from_the_first_use(house):
    await house.add(expires_after="1h")
    house.now += timedelta(days=100)
    assert await house.look() == ""
    meter = house.ledger.meter
    meter.cells[meter.count(1, house.user().slot) + OPENED] += 1
    assert await house.look() == ""
    assert (await house.store.get("alice")).first_used_at == house.now
    house.now += timedelta(hours=1)
    assert await house.look() == "user_expired"


async def test_hours_of_use(house):
    await house.add(hours=["mon-fri 13:00-14:00"])
    assert house.user().blocked == "outside_hours"
    house.now += timedelta(hours=1)
    assert await house.look() == ""
    house.now += timedelta(hours=1)
    assert await house.look() == "outside_hours"


async def test_the_nearest_limits_are_told_and_watched(house):
    await house.groups.add("staff", limits={"max_connections": 5, "data_limit": "1000"})
    await house.groups.add("everyone", limits={"max_connections": 9, "max_devices": 2, "connection_rate": 3})
    await house.users.add("alice", "x", groups=["staff"], limits={"connection_rate": 0})
    limits = house.user().limits
    assert (limits.max_connections, limits.max_devices, limits.connection_rate) == (5, 2, 0)
    house.move(1000)
    assert await house.look() == "over_quota"
    await house.groups.edit("staff", limits={"data_limit": "1MB"})
    assert house.user().blocked == ""


async def test_who_is_removed_is_not_counted_and_a_namesake_begins_anew(house):
    await house.add(data_limit="1000")
    house.move(1000)
    assert await house.look() == "over_quota"
    slot = house.user().slot
    await house.users.remove("alice")
    await house.add(data_limit="1000")
    assert house.user().blocked == ""
    assert house.user().slot != slot


async def test_a_rename_changes_nothing_about_the_quota(house):
    await house.add(data_limit="1000")
    house.move(600)
    await house.users.edit("alice", new_name="alicia")
    house.move(400, "alicia")
    await house.enforcement._look()
    await house.snapshots.publish()
    assert house.user("alicia").blocked == "over_quota"


async def test_while_the_store_is_away_everything_stays_as_it_is(house, monkeypatch):
    await house.add(data_limit="1000", reset="rolling")
    house.move(1000)
    assert await house.look() == "over_quota"

    async def away(*_):
        raise Unavailable("database_unreachable", "away", "wait")

    with monkeypatch.context() as patch:
        patch.setattr(house.usage, "since", away)
        house.now += timedelta(days=1)
        with pytest.raises(Unavailable):
            await house.enforcement.arrange()
        assert house.budget() == 0
    house.now += timedelta(days=30)
    assert await house.look() == ""


async def test_it_runs_by_itself(house):
    await house.add(data_limit="1000")
    told = asyncio.Event()

    async def publish():
        await house.snapshots.publish()
        if house.user().blocked:
            told.set()

    running = asyncio.create_task(house.enforcement.run(publish))
    house.move(1000)
    await asyncio.wait_for(told.wait(), 10)
    running.cancel()


async def test_after_the_next_start_what_removed_users_had_moved_is_forgotten(house):
    for name in ("alice", "bob"):
        await house.add(name)
        house.move(100, name)
    numbers = {name: (await house.store.get(name)).number for name in ("alice", "bob")}
    await house.look()
    await house.ledger.book({})
    await house.users.remove("bob")
    assert await house.usage.known() == set(numbers.values())
    await house.restart()
    assert await house.enforcement._sweep()
    assert await house.usage.known() == {numbers["alice"]}


async def test_without_a_data_plane_limits_are_known_all_the_same(house):
    await house.add(data_limit="1000")
    house.move(1000)
    await house.look()
    await house.ledger.close(house.enforcement.zones())
    house.build()
    [alice] = await house.enforcement.arrange()
    assert (alice.blocked, alice.slot) == ("over_quota", 0)
