"""``/api/monitoring``."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel, Field

MonitoringFiles = Callable[[], dict[str, str]]
"""The text of each file, by its path."""


class FilesView(BaseModel):
    """Files that others work from."""

    files: dict[str, str] = Field(description="The text of each, by its path.")


def router(files: MonitoringFiles) -> APIRouter:
    """What Prometheus and Grafana work from."""
    router = APIRouter(prefix="/api/monitoring", tags=["status"])

    @router.get("/files")
    async def list_files() -> FilesView:
        """Dashboards for Grafana, alerts for Prometheus, and how to set both up for this daemon."""
        return FilesView(files=files())

    return router
