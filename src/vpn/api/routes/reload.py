"""``/api/reload``."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from vpn.api.errors import responses
from vpn.services.data_plane import DataPlane


class ReloadView(BaseModel):
    """What reading the settings again changed."""

    added: list[str] = Field(description="Inbounds that are new.")
    removed: list[str] = Field(description="Inbounds that are gone; their clients have proxy.drain_timeout to end.")
    changed: list[str] = Field(description="Inbounds that are served in another way, to clients that come from now on.")
    restart_needed: list[str] = Field(description="Settings that have changed, and wait for a restart.")


def router(data_plane: DataPlane) -> APIRouter:
    """Reading the settings again."""
    router = APIRouter(prefix="/api/reload", tags=["settings"])

    @router.post("", responses=responses(503))
    async def reload_settings() -> ReloadView:
        """Read the configuration file again, and do what has changed in it. Sessions elsewhere are not touched."""
        done = await data_plane.reload()
        return ReloadView(
            added=done.added, removed=done.removed, changed=done.changed, restart_needed=done.restart_needed
        )

    return router
