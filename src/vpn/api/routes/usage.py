"""``/api/users/{name}/usage``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from vpn.api.errors import responses
from vpn.api.schemas.usage import UsageView
from vpn.services.usage import UsageService

Name = Annotated[str, Path(max_length=2000, examples=["alice"])]


def router(usage: UsageService) -> APIRouter:
    """What users have used: told, and forgiven."""
    router = APIRouter(prefix="/api/users/{name}/usage", tags=["users"], responses=responses(404))

    @router.get("", response_model_exclude_none=True)
    async def show_usage(
        name: Name, days: Annotated[int, Query(ge=1, le=3660, description="How many, up to today.")] = 30
    ) -> UsageView:
        """Show what a user has used."""
        return UsageView.of(await usage.report(name, days))

    @router.post("/reset", response_model_exclude_none=True)
    async def reset_usage(name: Name) -> UsageView:
        """Count the present period from nothing. Who was over the quota may connect again at once."""
        return UsageView.of(await usage.reset(name))

    return router
