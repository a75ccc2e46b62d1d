"""``/api/logs`` and ``/api/telemetry/events``: what has happened."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from vpn.api.events_stream import EventStreams, streamed
from vpn.api.schemas.logs import Level, LogLines, LogLineView, TelemetryEventView
from vpn.services.log_lines import LogQuery, RecentLines
from vpn.services.telemetry import Severity, Telemetry

Limit = Annotated[int, Query(ge=1, le=1000, description="Lines, at most.")]


def _query(
    level: Annotated[Level | None, Query(description="This one and those above it.")] = None,
    area: Annotated[str, Query(max_length=100, description="The part of the daemon, e.g. sessions.")] = "",
    user: Annotated[str, Query(max_length=300, description="Lines that name this user.")] = "",
    text: Annotated[str, Query(max_length=300, description="Somewhere in the line.")] = "",
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Lines with a greater id.")] = 0,
) -> LogQuery:
    return LogQuery(level=level or "", area=area, user=user, text=text, after=after)


Asked = Annotated[LogQuery, Depends(_query)]


def router(lines: RecentLines, telemetry: Telemetry, streams: EventStreams) -> APIRouter:
    """The log, and noteworthy events."""
    router = APIRouter(tags=["logs"])

    @router.get("/api/logs")
    async def find_lines(query: Asked, limit: Limit = 100) -> LogLines:
        """The newest lines of the log, or with `after` the next ones; the oldest first."""
        return LogLines(data=[LogLineView.of(line) for line in lines.find(query, limit)])

    @router.get(
        "/api/logs/stream",
        response_class=Response,
        responses=streamed("Lines as server-sent events."),
    )
    async def follow_lines(
        query: Asked, limit: Annotated[int, Query(ge=0, le=1000, description="Lines from before, at most.")] = 0
    ) -> Response:
        """Lines of the log as they come, as server-sent events."""
        return streams.answer(lambda put: lines.follow(query, limit, put))

    @router.get("/api/telemetry/events")
    async def find_events(
        minutes: Annotated[float | None, Query(gt=0, le=60 * 24 * 31, description="Until now; else all.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        severity: Annotated[Severity | None, Query(description="This one and no other.")] = None,
        category: Annotated[str | None, Query(max_length=100, description="A part of the daemon.")] = None,
    ) -> list[TelemetryEventView]:
        """What was noteworthy in the last hours, the newest first."""
        found = telemetry.find(minutes=minutes, limit=limit, severity=severity, category=category)
        return [TelemetryEventView.of(event) for event in found]

    return router
