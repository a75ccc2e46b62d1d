"""``/api/outline``: whether and how the Outline API is served (vpn.api.outline)."""

from __future__ import annotations

from fastapi import APIRouter, Response

from vpn.api.errors import responses
from vpn.api.schemas.outline import OutlineView, OutlineWish
from vpn.services.outline.service import OutlineService


def router(outline: OutlineService) -> APIRouter:
    """The Outline API: enable, show, disable, rotate."""
    router = APIRouter(prefix="/api/outline", tags=["outline"])

    @router.get("", responses=responses(409, 503))
    async def show_outline() -> OutlineView:
        """Show how the Outline API is served."""
        return OutlineView.of(await outline.show())

    @router.put("", responses=responses(404, 409, 503))
    async def enable_outline(wish: OutlineWish) -> OutlineView:
        """Serve the Outline API, or serve it otherwise. Its secret path and its certificate stay."""
        return OutlineView.of(await outline.enable(wish.wish()))

    @router.delete("", status_code=204, responses=responses(409))
    async def disable_outline() -> Response:
        """Serve the Outline API no longer. Access keys go on."""
        await outline.disable()
        return Response(status_code=204)

    @router.post("/rotate", responses=responses(409, 503))
    async def rotate_outline() -> OutlineView:
        """Serve the Outline API below another secret path."""
        return OutlineView.of(await outline.rotate())

    return router
