from types import SimpleNamespace

import pytest

from tests.support.clock import Clock
from vpn.domain.session import Session
from vpn.proxy.control import Report
from vpn.proxy.supervisor import Totals
from vpn.proxy.surroundings import WorkerStatus
from vpn.services.live_sessions import LiveSessions
from vpn.services.overview import Observatory
from vpn.services.resources import ProcessUse, Use
from vpn.services.traffic import Traffic

USE = Use(1.0, 2, (0.1, 0.2, 0.3), 100, 50, 200, 90, ProcessUse(1, 2.0, 3, 4), [ProcessUse(11, 5.0, 6, 7)])


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def scene(clock):
    live, traffic = LiveSessions(), Traffic(clock)
    status = SimpleNamespace(
        opened=0, uptime=12.0, healthy=True, upstreams=list, workers=lambda: [WorkerStatus(0, 11, True, 0, 3)]
    )
    status.totals = lambda: Totals(status.opened, 3, 40, 50)
    resources = SimpleNamespace(sample=lambda: USE)
    scene = SimpleNamespace(live=live, traffic=traffic, status=status)
    scene.observatory = Observatory(status, live, traffic, resources, clock)
    scene.hear = lambda *sessions: traffic.hear(live.hear(0, Report(0, 0, 0, 0, live=list(sessions)), []))
    return scene


def session(number, user, host, received=0):
    return Session(number, "main", "192.0.2.1", 1, 1.0, user=user, host=host, bytes_received=received)


def test_counters_and_how_fast_they_grow(scene, clock):
    for opened in (10, 30):
        clock.now += 1
        scene.status.opened = opened
        scene.observatory.turn()
    counters = scene.observatory.counters()
    assert (counters.total_sessions, counters.session_rate) == (30, 15)
    assert (counters.active_sessions, counters.bytes_sent, counters.bytes_received) == (3, 40, 50)


def test_who_is_busiest(scene, clock):
    scene.hear(session(1, "alice", "a.test", 10), session(2, "bob", "b.test", 900), session(3, "alice", "a.test"))
    clock.now += 1
    scene.observatory.turn()
    found = scene.observatory.overview(1)
    assert [(each.name, each.sessions, each.rate_received) for each in found.users] == [("bob", 1, 900)]
    names = {
        order: [each.name for each in scene.observatory.overview(9, order).users] for order in ("sessions", "name")
    }
    assert names == {"sessions": ["alice", "bob"], "name": ["alice", "bob"]}
    assert [each.name for each in scene.observatory.overview(9).destinations] == ["b.test", "a.test"]
    (worker,) = found.workers
    assert (worker.status.pid, worker.use.memory) == (11, 6)


def test_refusals_the_newest_first(scene):
    refused = [session(number, "alice", f"{number}.test") for number in range(5)]
    for each in refused:
        each.end("rejected_by_acl", "not_allowed", 5.0)
    scene.traffic.hear(scene.live.hear(0, Report(0, 0, 0, 0), refused))
    assert [each.destination for each in scene.observatory.overview(2).refusals] == ["4.test:0", "3.test:0"]
    assert scene.observatory.counters().rejected == 5
