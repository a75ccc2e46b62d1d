from datetime import UTC, datetime
from functools import partial

import pytest

from vpn.domain.errors import NotFound
from vpn.services.usage import UsageService
from vpn.store.usage import Counted, UsageStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def usage(store, database, enforcement, snapshots):
    return UsageService(store, UsageStore(database), enforcement, snapshots)


async def move(database, number, count):
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    await UsageStore(database).book(1, [Counted(number, count, 0, now.date(), hour)])


async def test_what_was_used_is_told_and_forgiven(usage, users, database, published):
    user, _ = await users.add("alice", "x", limits={"data_limit": "1000"})
    await move(database, user.number, 1500)
    await users.edit("alice", limits={"reset": "monthly"})
    report = await usage.report("ALICE", 30)
    assert (report.standing.state, report.standing.used, report.days[0].up) == ("over_quota", 1500, 1500)
    report = await usage.reset("alice")
    assert (report.standing.state, report.standing.used) == ("active", 0)
    assert published[-1]["alice"].blocked == ""


async def test_nobody(usage):
    for action in (partial(usage.report, "x", 1), partial(usage.reset, "x")):
        with pytest.raises(NotFound):
            await action()


@pytest.mark.parametrize(("up", "down"), [(0, 0), (1000, 0), (0, 500), (1000, 3001)])
async def test_the_present_period_in_each_direction(usage, users, database, up, down):
    user, _ = await users.add("alice", "x")
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    await UsageStore(database).book(1, [Counted(user.number, up, down, now.date(), hour)])
    present = await usage.present(user)
    assert (present.up, present.down) == (up, down)
    assert present.standing.used == up + down
