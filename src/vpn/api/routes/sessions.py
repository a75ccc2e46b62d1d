"""``/api/sessions``: the history of sessions."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from vpn.api.errors import responses
from vpn.api.schemas.sessions import SessionFilter, SessionOrder, SessionPage, SessionView
from vpn.domain.session import Session
from vpn.domain.session_query import LONGEST_TEXT, SessionRequest
from vpn.services.session_history import SessionHistory

User = Annotated[str, Query(max_length=LONGEST_TEXT, description="The user's name.")]
_EXPORTED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}, "application/jsonl": {}}}}
_COLUMNS = tuple(SessionView.model_fields)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def router(sessions: SessionHistory) -> APIRouter:
    """Sessions, live and past: list, export."""
    router = APIRouter(prefix="/api/sessions", tags=["sessions"])

    @router.get("/history", responses=responses(503))
    async def list_sessions(
        which: Annotated[SessionFilter, Query()], order: Annotated[SessionOrder, Query()], user: User = ""
    ) -> SessionPage:
        """List sessions, the newest first unless another order is asked for."""
        return await _page(sessions, which, order, user)

    @router.get(
        "/export",
        response_class=StreamingResponse,
        responses=_EXPORTED | responses(503),
    )
    async def export_sessions(
        which: Annotated[SessionFilter, Query()],
        user: User = "",
        format: Annotated[Literal["csv", "jsonl"], Query(description="A table, or one object in a line.")] = "csv",
        limit: Annotated[int, Query(ge=0, le=1_000_000, description="How many at most; 0: all.")] = 0,
        after: Annotated[str, Query(max_length=16, description="The id of a session, to go on behind it.")] = "",
    ) -> StreamingResponse:
        """Write all sessions that are meant, the newest first."""
        request = msgspec.structs.replace(which.request(), user=user)
        lines, kind = (_csv, "text/csv") if format == "csv" else (_jsonl, "application/jsonl")
        pieces = sessions.stream(request, limit=limit, after=after)
        # What is wrong with the request is found with the first piece, while it can still be said.
        first: list[Session] = await anext(pieces, [])
        return StreamingResponse(
            _export(first, pieces, lines),
            media_type=kind,
            headers={"Content-Disposition": f'attachment; filename="sessions.{format}"'},
        )

    return router


def one_router(sessions: SessionHistory) -> APIRouter:
    """One session. It comes after all other paths below ``/api/sessions``, which would be taken for identifiers."""
    router = APIRouter(prefix="/api/sessions", tags=["sessions"])

    @router.get("/{id}", responses=responses(404, 503))
    async def show_session(
        id: Annotated[str, Path(max_length=2000, examples=["0c5a1f2e40000001"])],
    ) -> SessionView:
        """Show a session, live or past."""
        return SessionView.of(await sessions.get(id))

    return router


def user_router(sessions: SessionHistory) -> APIRouter:
    """The sessions of one user."""
    router = APIRouter(prefix="/api/users/{user}/sessions", tags=["users"], responses=responses(503))

    @router.get("")
    async def list_sessions_of_user(
        user: Annotated[str, Path(max_length=LONGEST_TEXT, examples=["alice"])],
        which: Annotated[SessionFilter, Query()],
        order: Annotated[SessionOrder, Query()],
    ) -> SessionPage:
        """List the sessions of a user, who may have been removed."""
        return await _page(sessions, which, order, user)

    return router


async def _page(sessions: SessionHistory, which: SessionFilter, order: SessionOrder, user: str) -> SessionPage:
    request: SessionRequest = msgspec.structs.replace(which.request(), user=user, **order.model_dump())
    return SessionPage.of(await sessions.page(request), order)


async def _export(
    first: list[Session], others: AsyncIterator[list[Session]], lines: Callable[[Sequence[Session], bool], str]
) -> AsyncIterator[str]:
    yield lines(first, True)
    async for piece in others:
        yield lines(piece, False)


def _jsonl(sessions: Sequence[Session], _at_start: bool) -> str:
    return "".join(f"{SessionView.of(session).model_dump_json()}\n" for session in sessions)


def _csv(sessions: Sequence[Session], at_start: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if at_start:
        writer.writerow(_COLUMNS)
    for session in sessions:
        fields = SessionView.of(session).model_dump(mode="json")
        writer.writerow([_cell(fields[name]) for name in _COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
