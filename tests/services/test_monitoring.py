import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from tests.support.supervised import until
from vpn.domain.session import Session
from vpn.proxy.control import Report
from vpn.proxy.supervisor import Totals
from vpn.services import monitoring as module
from vpn.services.health import Part
from vpn.services.live_sessions import LiveSessions
from vpn.services.monitoring import Monitoring
from vpn.services.session_feed import SessionFeed
from vpn.services.session_filter import ALL
from vpn.settings.health import HealthSettings
from vpn.settings.metrics import MetricsSettings
from vpn.settings.proxy import ProxySettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TURN", 0.01)
    live = LiveSessions()
    status = SimpleNamespace(
        workers=list, upstreams=list, uptime=1.0, healthy=True, totals=lambda: Totals(7, len(live), 30, 40)
    )
    writer = SimpleNamespace(state=SimpleNamespace(waiting=1, spilled=2, lost=3, failing=False), take=lambda *_: None)
    data_plane = SimpleNamespace(proxy=ProxySettings(), inbounds=lambda: ["main"], unserved={})
    settings = (MetricsSettings(history_interval=1), HealthSettings())

    async def ask():
        return None

    scene = SimpleNamespace(
        live=live, status=status, data_plane=data_plane, writer=writer, noteworthy=[], directory=tmp_path
    )
    scene.data_plane = data_plane
    scene.monitoring = Monitoring(tmp_path, live, status, data_plane, ask, settings)
    scene.feed = SessionFeed(live, writer)
    scene.monitoring.observe(scene.feed, writer, lambda put: scene.noteworthy.append(put) or scene.noteworthy.clear)
    running = asyncio.create_task(scene.monitoring.run())
    yield scene
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_it_turns_tells_and_remembers(scene):
    told = []
    scene.monitoring.events.subscribe(told.append, ["sessions", "counters", "telemetry"], lambda live: live.rate, ALL)
    session = Session(1, "main", "192.0.2.1", 1, 1.0, user="alice", host="a.test", bytes_received=5000)
    scene.feed.hear(0, Report(7, 1, 30, 40, live=[session]), [], SimpleNamespace())
    await until(lambda: {event["topic"] for event in told} == {"sessions", "counters"})
    await until(lambda: len(scene.monitoring.history) >= 1)
    (point, *_) = scene.monitoring.history
    assert (point.total_sessions, point.bytes_sent, point.bytes_received) == (7, 30, 40)
    assert point.memory > 0
    (put,) = scene.noteworthy
    put({"message": "hm"})
    assert told[-1] == {"topic": "telemetry", "message": "hm"}


async def test_an_inbound_that_is_not_served_is_seen(scene):
    scene.data_plane.unserved["side"] = "in use"
    assert (await scene.monitoring.health.parts())["inbounds"] == Part("failed", "1 of 2 served")


async def test_how_sessions_are_stored_is_a_part_of_its_own(scene):
    parts = await scene.monitoring.health.parts()
    assert (parts["sessions"].state, parts["sessions"].detail) == ("ok", "1 waiting, 2 on disk, 3 lost")
    assert parts["inbounds"] == Part("ok", "1 of 1 served")


async def test_what_cannot_be_told_for_once_is_no_end(scene, monkeypatch, capsys):
    failures = []

    def sample():
        failures.append(1)
        raise OSError(2, "no such file")

    monkeypatch.setattr(scene.monitoring.resources, "sample", sample)
    scene.monitoring.history.interval = 0.01
    await until(lambda: len(failures) >= 2)
