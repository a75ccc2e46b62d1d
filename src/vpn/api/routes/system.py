"""How things are and were: resources, the pool, history, all at a glance; and whether something can be reached."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query

from vpn.api.errors import responses
from vpn.api.schemas.overview import OverviewView
from vpn.api.schemas.system import Connectivity, Destination, HistoryPoint, PoolStats, Resources
from vpn.services.monitoring import Monitoring
from vpn.services.overview import MOST, Order
from vpn.services.status import StatusService

DAY = 24 * 60  # minutes


def router(monitoring: Monitoring, status: StatusService) -> APIRouter:
    """What watches the daemon."""
    router = APIRouter(prefix="/api", tags=["monitoring"])

    @router.get("/overview")
    async def show_overview(most: Annotated[int, Query(ge=1, le=MOST)] = 10, order: Order = "rate") -> OverviewView:
        """All at a glance, with so many of the busiest users and destinations, and of the last refusals."""
        return OverviewView.of(monitoring.observatory.overview(most, order))

    @router.get("/system/resources")
    async def show_resources() -> Resources:
        """What the machine, the daemon and its workers use."""
        return Resources.of(monitoring.resources.sample(), status.uptime)

    @router.get("/pool/stats")
    async def show_pool() -> PoolStats:
        """The connections to upstreams that are made before they are needed."""
        return PoolStats.of(monitoring.pool.state())

    @router.get("/metrics/history")
    async def show_history(
        minutes: Annotated[int | None, Query(ge=1, le=7 * DAY, description="Of the last so many.")] = None,
        hours: Annotated[int | None, Query(ge=1, le=7 * 24, description="The same in hours.")] = None,
        points: Annotated[int, Query(ge=1, le=5000, description="At most; one then stands for several.")] = 1000,
    ) -> list[HistoryPoint]:
        """How it was, the oldest first. Left out, `minutes` and `hours` are a day."""
        past = minutes or (hours or 0) * 60 or DAY
        return [HistoryPoint.of(each) for each in monitoring.history.since(time.time() - past * 60, points)]

    @router.post("/diagnostics/connectivity", responses=responses(503))
    async def test_connectivity(destination: Destination) -> Connectivity:
        """Try to reach a destination from the daemon, if clients may: no rules and no upstreams are asked."""
        attempt = await monitoring.diagnostics.connect(
            destination.address, destination.port, destination.timeout_ms / 1000
        )
        return Connectivity.of(destination, attempt)

    return router
