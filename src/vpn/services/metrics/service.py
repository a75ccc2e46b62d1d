"""Metrics, for whoever asks: everything at one moment, in the format that is asked for."""

from __future__ import annotations

import time
from typing import NamedTuple

from prometheus_client.exposition import choose_encoder

from vpn.monitoring.daemon_families import SCRAPE_TIME, SCRAPES
from vpn.proxy.supervisor import Supervisor
from vpn.services.bans import BanService
from vpn.services.data_plane import DataPlane
from vpn.services.enforcement import Enforcement
from vpn.services.figures import Figure, figures_of
from vpn.services.live_sessions import LiveSessions
from vpn.services.metrics import daemon_figures, plane_figures
from vpn.services.metrics.facts import FactFinder, Facts
from vpn.services.metrics.loop_lag import LoopLag
from vpn.services.metrics.session_figures import put_sessions
from vpn.services.metrics.sheet import Sheet
from vpn.services.metrics.sources import read_workers
from vpn.services.metrics.steady import Steady
from vpn.services.metrics.tally import Tally
from vpn.services.session_writer import SessionWriter

FRESH = 0.25  # seconds for which they are not put together anew, whoever asks how often
_OPENMETRICS = "application/openmetrics-text"


class Sources(NamedTuple):
    """Whom the service asks."""

    tally: Tally
    live: LiveSessions
    writer: SessionWriter
    enforcement: Enforcement
    bans: BanService
    data_plane: DataPlane
    facts: FactFinder
    lag: LoopLag


class Exposition(NamedTuple):
    """The metrics, as they are sent."""

    content: bytes
    media_type: str


class MetricsService:
    """Puts the metrics together.

    Args:
        public: whether they are for everybody.
    """

    def __init__(self, sources: Sources, *, public: bool = False) -> None:
        self._sources = sources
        self.public = public
        self._supervisor: Supervisor | None = None
        self._steady = Steady()
        self._started = time.time()
        self._made: dict[bool, tuple[float, Exposition]] = {}
        """When they were put together last, in OpenMetrics and not."""
        self._scrapes = 0
        self._scrape_time = 0.0

    def watch(self, supervisor: Supervisor) -> None:
        """These workers serve, from now on."""
        self._supervisor = supervisor

    async def expose(self, accept: str) -> Exposition:
        """The metrics: in OpenMetrics if an ``Accept`` header names it, else in Prometheus' text format."""
        facts = await self._sources.facts.find()
        began = time.perf_counter()
        wants_openmetrics = _OPENMETRICS in accept.lower()
        made, exposition = self._made.get(wants_openmetrics, (float("-inf"), None))
        if exposition is None or began - made >= FRESH:
            # What the header says besides is nobody's business: the encoder takes a version that is none badly.
            encode, media_type = choose_encoder(_OPENMETRICS if wants_openmetrics else "")
            exposition = Exposition(encode(self.sheet(facts)), media_type)
            self._made[wants_openmetrics] = began, exposition
            self._scrapes += 1
            self._scrape_time += time.perf_counter() - began
        return exposition

    async def figures(self) -> list[Figure]:
        """The same, for who does not speak Prometheus."""
        return figures_of(self.sheet(await self._sources.facts.find()).collect())

    def sheet(self, facts: Facts) -> Sheet:
        """All figures as they are now; nothing happens in between."""
        sources, supervisor, sheet = self._sources, self._supervisor, Sheet()
        plane = sources.data_plane
        started = 0
        if supervisor is not None:
            started = supervisor.totals().opened
            plane_figures.put_counters(sheet, supervisor.counters())
            plane_figures.put_upstreams(sheet, supervisor.upstreams(), self._steady)
            plane_figures.put_workers(sheet, read_workers(supervisor), self._steady)
        plane_figures.put_inbounds(sheet, plane.connections(), plane.wanted, plane.unserved, plane.max_connections)
        put_sessions(sheet, sources.tally, list(sources.live), started)
        daemon_figures.put_process(sheet, self._started, sources.lag.histogram)
        daemon_figures.put_writer(sheet, sources.writer.state)
        daemon_figures.put_facts(sheet, facts)
        enforcement = sources.enforcement
        daemon_figures.put_standings(sheet, enforcement.kept_out(), enforcement.warned(), enforcement.events)
        daemon_figures.put_bans(sheet, sources.bans.counts())
        daemon_figures.put_reloads(sheet, sources.data_plane.reloads)
        sheet.put(SCRAPES, self._scrapes)
        sheet.put(SCRAPE_TIME, self._scrape_time)
        return sheet
