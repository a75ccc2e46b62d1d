import asyncio
from datetime import UTC, datetime

import pytest

from vpn.domain.errors import Unavailable
from vpn.domain.group import Group
from vpn.services.metrics import facts as module
from vpn.services.metrics.facts import FactFinder

pytestmark = pytest.mark.anyio


@pytest.fixture
async def finder(database, tmp_path):
    finder = FactFinder(database, tmp_path, list)
    yield finder
    await finder.close()


async def test_what_there_is_to_know(finder, users, group_store):
    await users.add("alice")
    now = datetime.now(UTC)
    await group_store.add(Group(name="staff", created_at=now, updated_at=now))
    found = await finder.find()
    assert (found.users, found.groups) == (1, 1)
    assert found.database_size > 4096
    assert found.disk_free > 0


async def test_an_answer_is_good_for_a_while(finder, users, monkeypatch):
    first = await finder.find()
    await users.add("alice")
    assert await finder.find() is first
    monkeypatch.setattr(module, "FRESH", 0)
    assert (await finder.find()).users == 1


async def test_a_store_that_is_away_leaves_the_rest(finder, database, monkeypatch):
    async def away():
        raise Unavailable("database_unreachable", "it is away", "wait")

    monkeypatch.setattr(database, "size", away)
    found = await finder.find()
    assert (found.users, found.database_size) == (None, None)
    assert found.disk_free > 0


async def test_a_store_that_hangs_is_not_waited_for(finder, database, monkeypatch):
    free = asyncio.Event()

    async def hangs():
        await free.wait()
        return 5

    monkeypatch.setattr(module, "PATIENCE", 0.1)
    monkeypatch.setattr(database, "size", hangs)
    found = await finder.find()
    assert (found.users, found.database_size) == (None, None)
    assert found.disk_free > 0, "what has nothing to do with it is told"
    assert await finder.find() is found, "nor is it asked twice at a time"
    free.set()
    monkeypatch.setattr(module, "PATIENCE", 10)
    assert (await finder.find()).database_size == 5


async def test_a_disk_that_is_gone_leaves_the_rest(database, tmp_path):
    finder = FactFinder(database, tmp_path / "gone", list)
    found = await finder.find()
    assert (found.disk_free, found.users) == (None, 0)
    await finder.close()


async def test_many_may_ask_at_once(finder):
    first, *others = await asyncio.gather(*(finder.find() for _ in range(5)))
    assert all(other is first for other in others)
