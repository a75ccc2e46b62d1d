"""``/health`` and ``/api/status``."""

from __future__ import annotations

from fastapi import APIRouter

from vpn import __version__
from vpn.api.schemas.status import Health, StatusView
from vpn.services.status import StatusService


def health_router(status: StatusService) -> APIRouter:
    """For load balancers and the like: needs no token."""
    router = APIRouter(tags=["status"])

    @router.head("/health", include_in_schema=False)
    @router.get("/health")
    async def health() -> Health:
        """Whether the daemon is well."""
        return health_of(status)

    return router


def router(status: StatusService) -> APIRouter:
    """The whole picture."""
    router = APIRouter(prefix="/api/status", tags=["status"])

    @router.get("")
    async def show_status() -> StatusView:
        """The daemon, its inbounds and its workers."""
        return StatusView.of(await status.status())

    return router


def health_of(status: StatusService) -> Health:
    """The short answer."""
    state = "ok" if status.healthy else "degraded"
    return Health(status=state, version=__version__, uptime_seconds=round(status.uptime, 3))
