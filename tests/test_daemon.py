"""What the daemon wires, looked at from inside; tests/e2e looks from outside."""

import asyncio
import json
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from vpn import daemon
from vpn.daemon import call_in_process
from vpn.data_directory import DataDirectory
from vpn.domain.errors import Conflict, Unavailable
from vpn.house import WELCOMED, build
from vpn.observation import Observation
from vpn.settings.model import DatabaseSettings, Settings


@pytest.fixture(autouse=True)
def _put_back_logging():
    yield
    structlog.reset_defaults()


def test_one_request_without_a_daemon(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data")
    status, _ = call_in_process(settings, "POST", "/api/users", b'{"name": "alice"}')
    assert status == 201
    status, answer = call_in_process(settings, "GET", "/api/users", b"")
    assert [user["name"] for user in json.loads(answer)["data"]] == ["alice"]
    assert not (tmp_path / "data" / "api.sock").exists()


def test_a_directory_in_use_is_left_alone(tmp_path: Path):
    with DataDirectory(tmp_path / "data"), pytest.raises(Conflict):
        call_in_process(Settings(data_dir=tmp_path / "data"), "GET", "/api/users", b"")


def test_a_full_disk_is_said_and_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        call_in_process(Settings(data_dir=tmp_path / "data"), "GET", "/api/users", b"")
    assert not (tmp_path / "data" / "key").exists()


def test_the_database_can_be_elsewhere(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    settings = Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=url))
    assert call_in_process(settings, "GET", "/api/users", b"")[0] == 200
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "data" / "vpn.db").exists()


@pytest.mark.anyio
async def test_a_store_that_is_away_when_all_is_announced_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(daemon, "_RETRY", 0.001)
    settings = Settings(data_dir=tmp_path / "data")
    with DataDirectory(settings.data_dir) as directory:
        async with build(settings, directory, lambda: settings, Observation(settings)) as house:
            put, troubles, shown = house.facts.put, [True, True], []

            async def put_at_last(name: str, value: bytes) -> None:
                if troubles:
                    troubles.pop()
                    raise Unavailable("database_unreachable", "database is locked", "wait")
                await put(name, value)

            monkeypatch.setattr(house.facts, "put", put_at_last)
            assert not await daemon._announce(shown.append, "all of it", house)
            assert shown == ["all of it"]
            await daemon._note_welcome_later(house)
            assert await house.facts.get(WELCOMED) == b""
            assert await daemon._announce(shown.append, "again", house)


@pytest.mark.anyio
async def test_a_defect_in_one_loop_is_told_and_the_others_are_ended():
    async def fail() -> None:
        raise ZeroDivisionError

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.wait(tasks[:1])
    with capture_logs() as lines:
        await daemon._end(tasks)
    assert [line["event"] for line in lines] == ["defect in what goes on beside"]
    assert tasks[1].cancelled()
