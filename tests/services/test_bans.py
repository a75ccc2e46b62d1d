import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest

from tests.support.supervised import until
from vpn.domain.bans import BanRules
from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable
from vpn.domain.network import parse_networks
from vpn.proxy.control import Attempt, Attempts, Bans
from vpn.services import bans as module
from vpn.services.bans import BanService
from vpn.store.bans import BanStore

pytestmark = pytest.mark.anyio

SOURCE = "192.0.2.1"


class Workers:
    """Who is told."""

    def __init__(self):
        self.told = []

    async def ban(self, bans):
        self.told.append(bans)


@pytest.fixture
async def workers(bans):
    workers = Workers()
    await bans.start(workers.ban)
    return workers


def fail(bans, times, host=SOURCE, name="alice"):
    for _ in range(times):
        bans.failed(host, name)


def listed(bans):
    return {(ban.kind, ban.subject) for ban in bans.page(page=1, page_size=100)[0]}


async def again(bans, database, clock):
    """As after a restart."""
    await bans.close()
    service = BanService(BanStore(database), bans._failures.rules, clock)
    await service.load()
    return service


async def test_failures_slow_and_then_ban_and_the_workers_hear(bans, workers):
    assert workers.told == [Bans()]
    fail(bans, 2)
    assert bans.delay(SOURCE, "alice") == 0
    fail(bans, 2)
    assert bans.delay(SOURCE, "bob") == bans.delay("192.0.2.2", "alice") == 0.5
    assert not bans.refuses(SOURCE, "alice")
    fail(bans, 1)
    assert bans.refuses(SOURCE, "bob")
    assert bans.refuses("192.0.2.2", "Alice")
    assert not bans.refuses("192.0.2.2", "bob")
    await until(lambda: workers.told[-1] == Bans([SOURCE], {"alice": []}))
    assert listed(bans) == {("source", SOURCE), ("user", "alice")}


async def test_what_workers_judge_counts_too(bans):
    bans.hear(Attempts([Attempt("alice", SOURCE, 1000)], [Attempt("bob", "192.0.2.2")]))
    assert bans.refuses(SOURCE, "x")
    assert bans.familiar("192.0.2.2", "Bob")
    (ban, _), _ = bans.page(page=1, page_size=10)
    assert ban.failures == 5


async def test_failures_of_somebody_banned_make_no_longer_ban(bans):
    fail(bans, 50)
    assert {(ban.until - ban.created_at).total_seconds() for ban in bans.page(page=1, page_size=9)[0]} == {10}
    assert bans.failures("source", SOURCE) == bans.failures("user", "alice") == 0


async def test_a_ban_ends(bans, workers, clock, database):
    fail(bans, 5)
    await until(lambda: workers.told[-1].sources)
    clock.pass_by(11)
    await bans.add("198.51.100.1", seconds=60)  # which is an occasion to look
    await until(lambda: SOURCE not in workers.told[-1].sources)
    assert not bans.refuses(SOURCE, "alice")
    assert listed(await again(bans, database, clock)) == {("source", "198.51.100.1")}


async def test_a_ban_ends_without_any_occasion(database):
    """The keeper wakes up by itself."""
    service = BanService(BanStore(database), BanRules(ban_after=5, ban_time=0.01), partial(datetime.now, UTC))
    workers = Workers()
    await service.start(workers.ban)
    fail(service, 5)
    await until(lambda: not service.page(page=1, page_size=9)[1])
    await until(lambda: len(workers.told) > 1 and workers.told[-1] == Bans())
    await service.close()
    assert await BanStore(database).all() == []


async def test_where_the_user_is_known_the_names_ban_does_not_hold_even_after_a_restart(bans, workers, database, clock):
    bans.succeeded("198.51.100.7", "Alice")
    for number in range(5):
        bans.failed(f"192.0.2.{number}", "alice")
    assert bans.refuses("192.0.2.99", "alice")
    assert not bans.refuses("198.51.100.7", "alice")
    assert bans.delay("198.51.100.7", "alice") == 0
    await until(lambda: workers.told[-1] == Bans([], {"alice": ["198.51.100.7"]}))
    service = await again(bans, database, clock)
    assert service.refuses("192.0.2.99", "alice")
    assert not service.refuses("198.51.100.7", "alice")
    assert service.familiar("198.51.100.7", "alice")


async def test_trusted_networks_are_neither_counted_nor_slowed_nor_banned(bans, workers):
    await bans.configure(msgspec.structs.replace(bans._failures.rules, trusted=parse_networks(["192.0.2.0/24"])))
    fail(bans, 50)
    assert bans.delay(SOURCE, "alice") == 0
    assert listed(bans) == set()
    fail(bans, 5, "198.51.100.1")
    assert bans.refuses("198.51.100.2", "alice")
    assert not bans.refuses(SOURCE, "alice"), "nor does a ban of a name hold there"
    await until(lambda: workers.told[-1] == Bans(["198.51.100.1"], {"alice": []}, ["192.0.2.0/24"]))
    with pytest.raises(Conflict):
        await bans.add("192.0.2.9", seconds=60)


async def test_new_rules_lift_bans_of_whom_they_trust(bans, workers):
    fail(bans, 5)
    await bans.configure(msgspec.structs.replace(bans._failures.rules, trusted=parse_networks(["192.0.2.0/24"])))
    assert listed(bans) == {("user", "alice")}
    assert workers.told[-1].sources == []


async def test_nothing_is_counted_where_that_is_off(bans):
    await bans.configure(msgspec.structs.replace(bans._failures.rules, enabled=False))
    fail(bans, 50)
    assert listed(bans) == set()
    await bans.add(SOURCE, seconds=60)
    assert bans.refuses(SOURCE, "alice"), "a ban by hand holds all the same"


async def test_by_hand(bans, workers, database, clock):
    ban = await bans.add("2001:db8::5", seconds=3600, reason="spam")
    assert (ban.kind, ban.subject, ban.reason, ban.failures) == ("source", "2001:db8::/64", "spam", 0)
    assert ban.until - ban.created_at == timedelta(hours=1)
    assert workers.told[-1].sources == ["2001:db8::/64"]
    user = await bans.add("Bob", seconds=60)
    assert (user.kind, user.subject, user.reason) == ("user", "bob", "by hand")
    longer = await bans.add("bob", seconds=120, kind="user")
    service = await again(bans, database, clock)
    assert service.page(page=1, page_size=9)[0] == [ban, longer]
    assert await service.remove("2001:db8::/64") == ban
    assert await service.clear() == 1
    assert await BanStore(database).all() == []


@pytest.mark.parametrize(
    ("text", "seconds", "reason"),
    [("10.0.0.0/8", 60, ""), ("a b", 60, ""), ("bob", 0, ""), ("bob", 10**9, ""), ("bob", 60, "a\nb")],
)
async def test_what_nobody_can_want(bans, text, seconds, reason):
    with pytest.raises(Invalid):
        await bans.add(text, seconds=seconds, reason=reason)
    assert listed(bans) == set()


async def test_lifting_forgets_what_led_to_it(bans, workers, database, clock):
    fail(bans, 5)
    await bans.remove(SOURCE)
    assert workers.told[-1].sources == []
    fail(bans, 4, name="")
    assert not bans.refuses(SOURCE, "bob")
    assert bans.failures("source", SOURCE) == 4
    with pytest.raises(NotFound):
        await bans.remove(SOURCE)
    assert listed(await again(bans, database, clock)) == {("user", "alice")}


async def test_pages(bans, clock):
    for number in range(5):
        await bans.add(f"192.0.2.{number}", seconds=60)
        clock.pass_by(1)
    found, total = bans.page(page=2, page_size=2)
    assert ([ban.subject for ban in found], total) == (["192.0.2.2", "192.0.2.1"], 5)


async def test_bans_are_counted_by_kind(bans):
    for subject in ("192.0.2.1", "192.0.2.2", "alice"):
        await bans.add(subject, seconds=60)
    assert bans.counts() == {"source": 2, "user": 1}


async def test_bans_are_bounded_and_the_first_to_end_goes(bans, monkeypatch):
    monkeypatch.setattr(module, "MOST_BANS", 2)
    for number, seconds in enumerate((60, 30, 90)):
        await bans.add(f"192.0.2.{number}", seconds=seconds)
    assert listed(bans) == {("source", "192.0.2.0"), ("source", "192.0.2.2")}


class Broken:
    """A store that is away."""

    def __init__(self, store):
        self.store = store
        self.away = True

    async def all(self):
        return await self.store.all()

    async def write(self, kept, removed=()):
        if self.away:
            raise Unavailable("database_unreachable", "away", "wait")
        await self.store.write(kept, removed)


async def test_what_cannot_be_stored_holds_all_the_same_and_is_stored_later(bans, workers, database, monkeypatch):
    monkeypatch.setattr(module, "RETRY", 0.01)
    bans._store = broken = Broken(bans._store)
    fail(bans, 5)
    await until(lambda: workers.told[-1].sources == [SOURCE])
    assert await broken.all() == []
    with pytest.raises(Unavailable):
        await bans.remove(SOURCE)
    assert bans.refuses(SOURCE, "bob"), "nothing half-done"
    with pytest.raises(Unavailable):
        await bans.add("192.0.2.9", seconds=60)
    assert ("source", "192.0.2.9") not in listed(bans)
    broken.away = False
    async with asyncio.timeout(10):
        while len(await broken.all()) < 2:  # noqa: ASYNC110 -- what is waited for happens in the database
            await asyncio.sleep(0.01)
