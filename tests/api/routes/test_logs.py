import logging

import pytest
import structlog

from vpn.settings.model import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data", log={"level": "debug", "format": "json"})


@pytest.fixture(autouse=True)
def _remembered(observation):
    """What is logged is remembered, as in the daemon."""
    root = logging.getLogger()
    before = root.handlers, root.level
    observation.log()
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()


async def test_lines_are_found(call):
    structlog.get_logger("bans").warning("banned", user="alice", failures=20)
    structlog.get_logger("proxy").info("chatter")
    status, answer = await call("GET", "/api/logs?user=alice")
    assert status == 200
    (line,) = answer["data"]
    assert line.pop("id") > 0
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "area": "bans", "event": "banned", "fields": {"user": "alice", "failures": 20}}
    assert [line["event"] for line in (await call("GET", "/api/logs?limit=1"))[1]["data"]] == ["chatter"]
    assert (await call("GET", "/api/logs?level=error"))[1] == {"data": []}
    for bad in ("level=loud", "limit=0", "limit=1001", "after=-1", f"text={'x' * 301}"):
        assert (await call("GET", f"/api/logs?{bad}"))[0] == 422


async def test_noteworthy_events_are_found(call):
    structlog.get_logger("proxy").error("worker died", worker=1)
    status, (event,) = await call("GET", "/api/telemetry/events?minutes=5&severity=error&category=proxy&limit=3")
    assert status == 200
    assert (event["severity"], event["category"], event["message"], event["count"]) == (
        "error",
        "proxy",
        "worker died",
        1,
    )
    assert event["details"] == {"worker": 1}
    assert (await call("GET", "/api/telemetry/events?severity=info"))[1] == []
    for bad in ("minutes=0", "limit=501", "severity=loud"):
        assert (await call("GET", f"/api/telemetry/events?{bad}"))[0] == 422
