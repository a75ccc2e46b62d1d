import time

import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy.control import UpstreamReport
from vpn.proxy.counters import WorkerCounters
from vpn.proxy.supervisor import Totals
from vpn.proxy.surroundings import WorkerStatus
from vpn.services.data_plane import DataPlane
from vpn.services.live_sessions import LiveSessions
from vpn.services.metrics.facts import FactFinder
from vpn.services.metrics.loop_lag import LoopLag
from vpn.services.metrics.service import Sources
from vpn.services.metrics.tally import Tally
from vpn.services.session_writer import SessionWriter
from vpn.services.shaping import Shaping
from vpn.settings.model import Settings
from vpn.store.sessions import SessionStore


class FakePlane:
    """A data plane that says what a test wants."""

    def __init__(self):
        self.bound = []
        self.opened = 0
        self.workers = [WorkerStatus(number=0, pid=0, ready=False, restarts=0, active=0)]
        self.reports = []
        self.states = {}

    def connections(self, bound):
        return 7

    def totals(self):
        return Totals(self.opened, 0, 0, 0)

    def status(self):
        return self.workers

    def upstreams(self):
        return self.reports

    def counters(self):
        return WorkerCounters()

    def gauges(self):
        return self.states


@pytest.fixture
def plane():
    return FakePlane()


@pytest.fixture
def upstream():
    def make(opened, healthy=True):
        return UpstreamReport("paris", healthy, opened=opened, reused=1, failed=2, idle=3, evicted=4)

    return make


@pytest.fixture
def inbound():
    return Inbound("main", "mixed", Endpoint("127.0.0.1", 1080), max_connections=9)


@pytest.fixture
async def sources(tmp_path, database, enforcement, snapshots, bans, policy, register):
    settings = Settings(data_dir=tmp_path)
    data_plane = DataPlane(settings, snapshots, bans, Shaping(0, 0), policy, register, lambda: settings)
    await data_plane.load()
    live = LiveSessions()
    finder = FactFinder(database, tmp_path, data_plane.inbounds)
    yield Sources(
        tally=Tally(20, 20, time.monotonic),
        live=live,
        writer=SessionWriter(tmp_path / "sessions", SessionStore(database), live, settings.sessions, time.time),
        enforcement=enforcement,
        bans=bans,
        data_plane=data_plane,
        facts=finder,
        lag=LoopLag(),
    )
    await finder.close()
