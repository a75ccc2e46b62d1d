import asyncio
from types import SimpleNamespace

import pytest

from tests.support.clock import Clock
from vpn.domain.errors import Unavailable
from vpn.services import health as module
from vpn.services.health import Health, Part, well

pytestmark = pytest.mark.anyio


class Workers:
    def __init__(self):
        self.answering = {0, 1}

    async def awake(self, patience):
        return self.answering

    def status(self):
        return [SimpleNamespace(number=number, ready=True) for number in (0, 1)]


class Database:
    def __init__(self):
        self.asked = 0
        self.error = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self):
        self.asked += 1
        await self.open.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database():
    return Database()


@pytest.fixture
async def health(tmp_path, clock, database):
    health = Health(database, tmp_path, 1, clock)
    health.run(Workers())
    yield health
    database.open.set()
    await health.close()


async def test_all_is_well(health):
    parts = await health.parts()
    assert well(parts)
    assert parts["workers"] == Part("ok", "2 of 2 serving")


async def test_a_worker_that_does_not_answer_is_missed(health):
    health._supervisor.answering = {1}
    assert (await health.parts())["workers"] == Part("failed", "1 of 2 serving")


async def test_without_workers_nothing_is_ready(tmp_path, clock, database):
    health = Health(database, tmp_path, 1, clock)
    assert (await health.parts())["workers"].state == "failed"


async def test_a_look_serves_for_a_second_and_for_all_who_ask(health, database, clock):
    await asyncio.gather(*(health.parts() for _ in range(50)))
    await health.parts()
    assert database.asked == 1
    clock.now += 1
    await health.parts()
    assert database.asked == 2


async def test_a_database_that_refuses_is_told_by_its_kind_only(health, database):
    database.error = Unavailable("database_unreachable", "postgresql://me:secret@db/x: no", "is it up?")
    assert (await health.parts())["database"] == Part("failed", "database unreachable")


async def test_a_database_that_hangs_is_asked_once_and_not_waited_for(health, database, clock, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    monkeypatch.setattr(module, "GLANCE", 0.001)
    database.open.clear()
    assert (await health.glance())["database"].state == "unknown", "nothing was known before"
    for _ in range(3):
        assert (await health.parts())["database"] == Part("failed", "does not answer")
        clock.now += 1
    assert database.asked == 1
    database.open.set()
    assert (await health.parts())["database"].state == "ok"


async def test_a_disk_without_room_or_without_a_directory_is_missed(tmp_path, clock, database):
    assert (await Health(database, tmp_path, 2**62, clock).parts())["disk"].state == "failed"
    gone = await Health(database, tmp_path / "gone", 0, clock).parts()
    assert gone["disk"] == Part("failed", "No such file or directory")


async def test_other_parts_can_be_looked_after(health):
    async def spilling():
        return Part("failed", "it spills")

    health.look_after("writer", spilling)
    parts = await health.parts()
    assert parts["writer"].detail == "it spills"
    assert not well(parts)
