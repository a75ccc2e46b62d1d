"""How late the event loop is: what it does may keep it from what it should do."""

from __future__ import annotations

import asyncio

from vpn.monitoring.daemon_families import LAGS
from vpn.services.metrics.histogram import Histogram

LOOK = 0.5  # seconds between two looks


class LoopLag:
    """Measures it while `run` runs."""

    def __init__(self) -> None:
        self.histogram = Histogram(LAGS)

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK
            await asyncio.sleep(LOOK)
            self.histogram.add(max(0.0, loop.time() - due))
