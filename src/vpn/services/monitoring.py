"""All that watches the daemon while it runs, put together, and the loop that keeps it going."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog

from vpn.proxy.supervisor import Supervisor
from vpn.services.data_plane import DataPlane
from vpn.services.diagnostics import Diagnostics
from vpn.services.health import Health, Part
from vpn.services.live_events import LiveEvents, Put
from vpn.services.live_sessions import LiveSessions
from vpn.services.metrics_history import History, Point
from vpn.services.overview import Observatory
from vpn.services.pool import PoolService
from vpn.services.resources import Resources
from vpn.services.session_feed import SessionFeed
from vpn.services.session_writer import SessionWriter
from vpn.services.sessions import SessionService
from vpn.services.status import StatusService
from vpn.services.traffic import Traffic
from vpn.settings.health import HealthSettings
from vpn.settings.metrics import MetricsSettings

TURN = 1.0  # seconds


class Monitoring:
    """Live sessions, what they move, what is used, how it was, and whether all is well.

    Args:
        directory: the data directory.
        live: all live sessions.
        ask_database: one cheap query.
    """

    def __init__(
        self,
        directory: Path,
        live: LiveSessions,
        status: StatusService,
        data_plane: DataPlane,
        ask_database: Callable[[], Awaitable[object]],
        settings: tuple[MetricsSettings, HealthSettings],
    ) -> None:
        metrics, health = settings
        self._status = status
        self._traffic = Traffic(time.monotonic)
        self.sessions = SessionService(live, self._traffic)
        self.resources = Resources(
            directory, lambda: [each.pid for each in status.workers() if each.pid], time.monotonic
        )
        self.history = History(metrics.history_interval, metrics.history_hours)
        self.observatory = Observatory(status, live, self._traffic, self.resources, time.time)
        self.events = LiveEvents(live, self._traffic, self.observatory.counters)
        self.pool = PoolService(status.upstreams, live, lambda: data_plane.proxy)
        self.diagnostics = Diagnostics(lambda: data_plane.proxy)
        self.health = Health(ask_database, directory, health.min_free_space, time.monotonic)
        self.health.look_after("inbounds", partial(_serving, data_plane))

    def observe(self, feed: SessionFeed, writer: SessionWriter, telemetry: Callable[[Put], Callable[[], None]]) -> None:
        """Hear of sessions, look after who stores them, and pass on what is noteworthy."""
        self.events.telemetry = telemetry
        self.health.look_after("sessions", partial(_writing, writer))
        feed.tell(self._traffic.hear)
        feed.tell(self.events.hear)

    def watch(self, supervisor: Supervisor) -> None:
        """These workers serve, from now on."""
        self.sessions.run(supervisor)
        self.health.run(supervisor)

    def rate(self) -> float:
        """Bytes per second that all together move just now."""
        return self._traffic.total().total

    async def run(self) -> None:
        """Go on until cancelled."""
        loop = asyncio.get_running_loop()
        next_turn = next_point = loop.time()
        log = structlog.get_logger("monitoring")
        try:
            while True:
                next_turn = max(next_turn + TURN, loop.time())  # what was missed is not made up for
                await asyncio.sleep(next_turn - loop.time())
                self.observatory.turn()
                self.events.turn()
                if loop.time() >= next_point:
                    next_point = loop.time() + self.history.interval - TURN / 2
                    try:
                        self.history.add(self._point())
                    except OSError as error:
                        log.warning("what is used cannot be told", reason=error.strerror)
        finally:
            await self.health.close()

    def _point(self) -> Point:
        counters, use = self.observatory.counters(), self.resources.sample()
        return Point(
            timestamp=counters.time,
            active_sessions=counters.active_sessions,
            total_sessions=counters.total_sessions,
            rejected=counters.rejected,
            bytes_sent=counters.bytes_sent,
            bytes_received=counters.bytes_received,
            memory=use.memory,
            cpu=use.process_cpu_percent,
        )


async def _serving(data_plane: DataPlane) -> Part:
    served, missing = len(data_plane.inbounds()), len(data_plane.unserved)
    return Part("failed" if missing else "ok", f"{served} of {served + missing} served")


async def _writing(writer: SessionWriter) -> Part:
    state = writer.state
    detail = f"{state.waiting} waiting, {state.spilled} on disk, {state.lost} lost"
    return Part("failed" if state.failing else "ok", detail)
