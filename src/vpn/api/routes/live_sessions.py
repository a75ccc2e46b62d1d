"""``/api/sessions``, as far as sessions live."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from vpn.api.auth import asked_by
from vpn.api.errors import responses
from vpn.api.schemas.live_sessions import LiveQuery, LiveSessionView, Terminated, Whose, live_fields
from vpn.services.session_filter import LiveSession
from vpn.services.sessions import SessionService

_AT_ONCE = 500  # sessions, which take some five milliseconds; then others have their turn


def router(sessions: SessionService) -> APIRouter:
    """Live sessions: list, terminate."""
    router = APIRouter(prefix="/api/sessions", tags=["sessions"])

    @router.get("/active", response_model=list[LiveSessionView])
    async def list_active(query: Annotated[LiveQuery, Query()]) -> Response:
        """List live sessions, the newest first; what they moved is at most a second old."""
        descending = query.sort_dir == "desc"
        found = sessions.active(query.filter(), sort_by=query.sort_by, descending=descending, limit=query.limit)
        return Response(await _rendered(found), media_type="application/json")

    @router.post("/terminate", responses=responses(503))
    async def terminate_sessions(whose: Whose, request: Request) -> Terminated:
        """Close all live sessions of a user, or to a destination. They are closed when this is answered."""
        by = asked_by(request.scope)
        return Terminated(
            terminated=await sessions.terminate_many(user=whose.user, destination=whose.destination, by=by)
        )

    @router.post("/{id}/terminate", responses=responses(404, 503))
    async def terminate_session(
        id: Annotated[str, Path(max_length=200, examples=["0c3f9a51d2400001"])], request: Request
    ) -> Terminated:
        """Close a live session. It is closed when this is answered."""
        await sessions.terminate(id, by=asked_by(request.scope))
        return Terminated(terminated=1)

    return router


async def _rendered(sessions: list[LiveSession]) -> bytes:
    now = time.time()
    parts = []
    for start in range(0, len(sessions), _AT_ONCE):
        rows = [live_fields(each, now) for each in sessions[start : start + _AT_ONCE]]
        parts.append(msgspec.json.encode(rows)[1:-1])
        await asyncio.sleep(0)
    return b"[" + b",".join(parts) + b"]"
