import http.server
import json
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from vpn.api import in_process
from vpn.api.app import Services, create_app
from vpn.api.events_stream import EventStreams
from vpn.domain.address import Endpoint
from vpn.domain.egress import Egress
from vpn.domain.inbound import Inbound
from vpn.monitoring.files import monitoring_files
from vpn.services.access import links_for
from vpn.services.bans import BanService
from vpn.services.data_plane import DataPlane
from vpn.services.enforcement import Enforcement
from vpn.services.groups import GroupService
from vpn.services.ledger import Ledger
from vpn.services.live_sessions import LiveSessions
from vpn.services.log_lines import RecentLines
from vpn.services.metrics.facts import FactFinder
from vpn.services.metrics.loop_lag import LoopLag
from vpn.services.metrics.service import MetricsService, Sources
from vpn.services.metrics.tally import Tally
from vpn.services.monitoring import Monitoring
from vpn.services.policy import PolicyService
from vpn.services.policy_trial import stored_groups
from vpn.services.roster import RosterService
from vpn.services.session_history import SessionHistory
from vpn.services.session_writer import SessionWriter
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.services.statistics import StatisticsService
from vpn.services.status import StatusService
from vpn.services.telemetry import Telemetry
from vpn.services.unstored import Unstored
from vpn.services.usage import UsageService
from vpn.services.users import UserService
from vpn.settings.bans import ban_rules_of
from vpn.settings.model import Settings
from vpn.store.bans import BanStore
from vpn.store.database import Database, sqlite_url
from vpn.store.groups import GroupStore
from vpn.store.policies import PolicyStore
from vpn.store.rollups import Rollups
from vpn.store.sessions import SessionStore
from vpn.store.statistics import StatisticsStore
from vpn.store.usage import UsageStore
from vpn.store.users import UserStore

TOKEN = "vpn_token-of-the-tests"


@pytest.fixture
def log_services() -> dict[str, Any]:
    """What remembers the log; tests of it say where it comes from."""
    clock = partial(datetime.now, UTC)
    return {"log_lines": RecentLines(100, 0.0), "telemetry": Telemetry(100, timedelta(hours=1), clock)}


@pytest.fixture
async def app(tmp_path: Path, log_services: dict[str, Any]) -> AsyncIterator[FastAPI]:
    database = Database(sqlite_url(tmp_path / "vpn.db"))
    await database.migrate()
    store, group_store = UserStore(database), GroupStore(database)
    clock = partial(datetime.now, UTC)
    inbounds = [Inbound("main", "mixed", Endpoint("127.0.0.1", 1080))]
    clock = partial(datetime.now, UTC)
    usage = UsageStore(database)
    enforcement = Enforcement(
        store, GroupStore(database), usage, Ledger(tmp_path / "meter", usage, clock), Shaping(0, 0), clock
    )
    snapshots = Snapshots(enforcement.arrange, Egress())
    settings = Settings(data_dir=tmp_path)
    bans = BanService(BanStore(database), ban_rules_of(settings.bans), partial(datetime.now, UTC))
    await bans.load()
    policy = PolicyService(PolicyStore(database), settings.policy, stored_groups(store), clock)
    status = StatusService(store, lambda: inbounds)
    data_plane = DataPlane(settings, snapshots, bans, Shaping(0, 0), policy, lambda: settings)
    watched = (settings.metrics, settings.health)
    ask = partial(store.page, offset=0, limit=1)
    sessions, live = SessionStore(database), LiveSessions()
    writer = SessionWriter(tmp_path / "sessions", sessions, live, settings.sessions, time.time)
    metrics = MetricsService(
        Sources(
            tally=Tally(20, 20, time.monotonic),
            live=live,
            writer=writer,
            enforcement=enforcement,
            bans=bans,
            data_plane=data_plane,
            facts=FactFinder(database, tmp_path, data_plane.inbounds),
            lag=LoopLag(),
        )
    )
    services = Services(
        users=UserService(store, snapshots, clock),
        groups=GroupService(group_store, snapshots, clock),
        roster=RosterService(store, group_store, snapshots, clock),
        usage=UsageService(store, usage, enforcement, snapshots),
        links_for=partial(links_for, inbounds),
        status=status,
        data_plane=data_plane,
        bans=bans,
        policy=policy,
        sessions=SessionHistory(sessions, live, writer, time.time),
        monitoring=Monitoring(tmp_path, live, status, data_plane, ask, watched),
        streams=EventStreams(),
        **log_services,
        monitoring_files=lambda: monitoring_files(settings.api.listen, tmp_path / "api-token"),
        metrics=metrics,
        statistics=StatisticsService(
            StatisticsStore(database),
            Rollups(database, {}, time.time),
            Unstored(live, sessions),
            settings.statistics,
            time.time,
        ),
    )
    made = create_app(services, TOKEN)
    made.state.sessions, made.state.live = sessions, live  # to put some there
    made.state.monitoring = services.monitoring
    yield made
    await services.monitoring.health.close()
    await database.close()


@pytest.fixture
def monitoring(app) -> Monitoring:
    return app.state.monitoring


@pytest.fixture
def call(app):
    async def call(method, target, body=None):
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        status, answer = await in_process.call(app, method, target, raw)
        return status, json.loads(answer) if answer else None

    return call


@pytest.fixture
def server():
    """A server that answers what a test tells it, and keeps what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
            status, content = server.answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.answers = [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
