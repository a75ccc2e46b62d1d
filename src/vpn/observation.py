"""Who observes a daemon: the log and its memory, the access log, OpenTelemetry."""

from __future__ import annotations

import asyncio
import time

from vpn import logs
from vpn.proxy.supervisor import Supervisor
from vpn.services.access_log import AccessLog
from vpn.services.data_plane import DataPlane
from vpn.services.figures import FigureSource
from vpn.services.otel import Otel
from vpn.services.session_feed import SessionFeed
from vpn.services.tracing import Tracer
from vpn.settings.model import Settings


class Observation:
    """Observes. `start` it, and `close` it at the end; without `start` nothing is logged or sent anywhere.

    Args:
        settings: those that the daemon begins with.
    """

    def __init__(self, settings: Settings) -> None:
        self.memory = logs.remember(settings)
        self._settings = settings
        self._otel: Otel | None = None
        self._access_log = AccessLog(time.time)

    @property
    def tracer(self) -> Tracer | None:
        """Records what happens; None: nobody wants to know."""
        return self._otel.tracer if self._otel is not None else None

    def log(self) -> None:
        """Log as the settings say, and remember it."""
        logs.apply(self._settings.log, self.memory)

    def start(self) -> None:
        """Connect to the outside, as the account that the daemon goes on as.

        Raises:
            Invalid: what the settings of OpenTelemetry name cannot be used.
        """
        self._otel = Otel(self._settings.otel)
        self._access_log.configure(self._settings.log.access)

    def watch(self, feed: SessionFeed, data_plane: DataPlane, supervisor: Supervisor) -> None:
        """Hear of sessions, and of other settings."""
        feed.tell(self._access_log.hear)
        if self._otel is not None:
            feed.tell(self._otel.hear)
            supervisor.trace(self._otel.sample_ratio)
        data_plane.tell(self._follow)

    def reopen(self) -> None:
        """Open files anew, for they may have been moved."""
        self._access_log.reopen()

    async def run(self, figures: FigureSource) -> None:
        """Send these figures now and then, until cancelled."""
        if self._otel is not None:
            await self._otel.run(figures)

    async def close(self) -> None:
        """Write and send the rest, as far as that can be done within some seconds."""
        await asyncio.to_thread(self._access_log.close)  # it may wait for a disk
        if self._otel is not None:
            await self._otel.close()

    def _follow(self, settings: Settings) -> None:
        logs.apply(settings.log, self.memory)
        self._access_log.configure(settings.log.access)
