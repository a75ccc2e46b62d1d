"""``/health``, ``/ready`` and ``/api/status``."""

from __future__ import annotations

from fastapi import APIRouter, Response

from vpn import __version__
from vpn.api.schemas.health import Readiness, views_of
from vpn.api.schemas.status import Health, StatusView
from vpn.services.health import Health as HealthService
from vpn.services.health import well
from vpn.services.status import StatusService


def health_router(status: StatusService, health: HealthService) -> APIRouter:
    """For load balancers and the like: needs no token."""
    router = APIRouter(tags=["status"])

    @router.head("/health", include_in_schema=False)
    @router.get("/health")
    async def show_health() -> Health:
        """That the daemon is alive, and how its parts are. It answers soon, whatever they do."""
        parts = await health.glance()
        return Health(
            status="ok" if well(parts) else "degraded",
            version=__version__,
            uptime_seconds=round(status.uptime, 3),
            parts=views_of(parts),
        )

    @router.head("/ready", include_in_schema=False)
    @router.get("/ready", responses={503: {"model": Readiness}})
    async def show_readiness(response: Response) -> Readiness:
        """Whether all parts are well: status 200, else 503."""
        found = Readiness.of(await health.parts())
        response.status_code = 200 if found.ready else 503
        return found

    return router


def router(status: StatusService) -> APIRouter:
    """The whole picture."""
    router = APIRouter(prefix="/api/status", tags=["status"])

    @router.get("")
    async def show_status() -> StatusView:
        """The daemon, its inbounds and its workers."""
        return StatusView.of(await status.status())

    return router
