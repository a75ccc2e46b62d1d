"""``/api/stats`` and ``/api/sessions/stats``."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query

from vpn.api.schemas.statistics import (
    Asked,
    AskedWithHours,
    By,
    Order,
    RankingView,
    SessionStats,
    TrafficView,
)
from vpn.domain.errors import Invalid
from vpn.domain.rollups import Kind
from vpn.services.statistics import StatisticsService
from vpn.store.statistics import Subject

_TOP: Final = 10
Limit = Annotated[int, Query(ge=1, le=1000, description="How many.")]
Sort = Annotated[Order, Query(description="By what comes first.")]
Name = Annotated[str | None, Query(max_length=255)]
_RANKED: dict[str, Kind] = {
    "users": "user",
    "destinations": "destination",
    "inbounds": "inbound",
    "protocols": "protocol",
    "reasons": "reason",
}


def session_router(statistics: StatisticsService) -> APIRouter:
    """The path of old. It comes before that of a single session."""
    router = APIRouter(prefix="/api/sessions/stats", tags=["statistics"])

    @router.get("")
    async def show_session_stats(
        asked: AskedWithHours, top: Annotated[int, Query(ge=0, le=1000, description="How many of each.")] = _TOP
    ) -> SessionStats:
        """Show what all sessions come to, and who and what comes first, by bytes."""
        users = await statistics.top("user", asked, "bytes", top)
        destinations = await statistics.top("destination", asked, "bytes", top)
        return SessionStats.of(await statistics.totals(asked), users, destinations)

    return router


def router(statistics: StatisticsService) -> APIRouter:
    """Statistics of any range, from sums that are kept for years."""
    router = APIRouter(prefix="/api/stats", tags=["statistics"])

    @router.get("/traffic")
    async def show_traffic(
        asked: Asked,
        by: Annotated[By | None, Query(description="Left out: as suits the range.")] = None,
        user: Name = None,
        destination: Name = None,
        inbound: Name = None,
    ) -> TrafficView:
        """Show sessions and bytes over the time: all, or those of one user, destination or inbound."""
        named: dict[Kind, str | None] = {"user": user, "destination": destination, "inbound": inbound}
        subjects = [Subject(kind, key) for kind, key in named.items() if key is not None]
        if len(subjects) > 1:
            raise Invalid("too_many_subjects", "a series is of one thing", "say one of user, destination and inbound")
        return TrafficView.of(await statistics.series(asked, by, *subjects))

    for path, kind in _RANKED.items():
        _add_ranking(router, statistics, path, kind)
    return router


def _add_ranking(router: APIRouter, statistics: StatisticsService, path: str, kind: Kind) -> None:
    async def show(asked: Asked, limit: Limit = _TOP, sort: Sort = "bytes") -> RankingView:
        return RankingView.of(await statistics.top(kind, asked, sort, limit))

    show.__name__ = f"show_top_{path}"
    show.__doc__ = f"Show the {path} that come to most."
    router.get(f"/{path}")(show)
