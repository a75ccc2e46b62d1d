"""Statistics, as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from vpn.domain.errors import Invalid
from vpn.domain.rollups import Sums
from vpn.domain.spans import HOUR, Range, parse_range
from vpn.services.statistics import Series, Totals
from vpn.store.statistics import Ranking

Order = Literal["sessions", "bytes"]
By = Literal["hour", "day", "month"]
_Text = Annotated[str | None, Query(max_length=100)]


def _asked(
    since: Annotated[_Text, Query(description="How long back, as 7d or 12h; without it and from: 24 hours.")] = None,
    first: Annotated[
        _Text, Query(alias="from", description="2026-12-31, 2026-12-31T18:00:00Z, or 7d (so long ago).")
    ] = None,
    to: Annotated[_Text, Query(description="The first moment that is not in it, written likewise; else now.")] = None,
) -> Range:
    return parse_range(datetime.now(UTC), since, first, to)


def _asked_with_hours(
    hours: Annotated[int | None, Query(ge=1, le=1_000_000, description="How many back; the same as since.")] = None,
    since: Annotated[_Text, Query(description="How long back, as 7d or 12h; without it and from: 24 hours.")] = None,
    first: Annotated[
        _Text, Query(alias="from", description="2026-12-31, 2026-12-31T18:00:00Z, or 7d (so long ago).")
    ] = None,
    to: Annotated[_Text, Query(description="The first moment that is not in it, written likewise; else now.")] = None,
) -> Range:
    if hours is not None and since is not None:
        raise Invalid("bad_range", "hours and since cannot be said together", "say one of them")
    return parse_range(datetime.now(UTC), since if hours is None else f"{hours * HOUR}", first, to)


Asked = Annotated[Range, Depends(_asked)]
"""A range, as a query says it."""
AskedWithHours = Annotated[Range, Depends(_asked_with_hours)]
"""The same, of paths that know `hours` from of old."""


class SumsView(BaseModel):
    """What some sessions come to."""

    sessions: int = Field(description="Those that ended, in whatever way.")
    closed: int = Field(description="Those that were let through.")
    failed: int = Field(description="Those whose destination was not reached, and the like.")
    rejected: int = Field(description="Those that a rule did not allow.")
    bytes_sent: int = Field(description="From clients to destinations.")
    bytes_received: int = Field(description="From destinations to clients.")
    duration_seconds: float = Field(description="How long those took that ended, together.")


class PointView(SumsView):
    """What the sessions of an hour, a day or a month come to, in UTC."""

    start: datetime


class RankedView(SumsView):
    """What the sessions of a user, a destination, an inbound or a reason come to."""

    name: str = Field(description="Empty: there was none.", examples=["alice", "example.com", "main", "eof"])


class RangeView(BaseModel):
    """What a statistic is about: what was asked for, in whole hours, days or months, as far as these are kept."""

    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to", description="This moment is not in it any more.")


class TrafficView(RangeView):
    """A series, without gaps."""

    by: By
    data: list[PointView]

    @classmethod
    def of(cls, series: Series) -> TrafficView:
        """The view of a series."""
        points = [PointView(start=_moment(start), **_sums(sums)) for start, sums in series.points]
        return cls(by=series.by, data=points, **_range(series.range))


class RankingView(RangeView):
    """The first of a kind. Where there were very many, those that come to least are not told apart, and not here."""

    total: SumsView = Field(description="What all come to, those included that are not in data.")
    data: list[RankedView]

    @classmethod
    def of(cls, ranking: Ranking) -> RankingView:
        """The view of a ranking."""
        rows = [RankedView(name=name, **_sums(sums)) for name, sums in ranking.rows]
        return cls(total=SumsView(**_sums(ranking.total)), data=rows, **_range(ranking.range))


class TopUser(BaseModel):
    """A user among those who moved most."""

    user: str
    session_count: int
    bytes_sent: int
    bytes_received: int


class TopDestination(BaseModel):
    """A destination among those where most was moved."""

    destination: str
    session_count: int
    bytes_sent: int
    bytes_received: int


class SessionStats(RangeView):
    """What all sessions of a range come to."""

    total_sessions: int = Field(description="Those that ended, and those that are live.")
    active_sessions: int = Field(description="Those that are live now, if the range is up to now.")
    closed_sessions: int
    failed_sessions: int
    rejected_sessions: int = Field(description="Those that a rule did not allow.")
    allowed_share: float | None = Field(description="Of those that ended, the part that no rule stopped; null: none.")
    total_bytes_sent: int = Field(description="From clients to destinations, live sessions included.")
    total_bytes_received: int = Field(description="From destinations to clients, live sessions included.")
    total_duration_seconds: float = Field(description="How long those took that ended, together.")
    top_users: list[TopUser]
    top_destinations: list[TopDestination]

    @classmethod
    def of(cls, totals: Totals, users: Ranking, destinations: Ranking) -> SessionStats:
        """The view of totals, with the first of the users and destinations."""
        sums = totals.sums
        return cls(
            total_sessions=sums.sessions + totals.active,
            active_sessions=totals.active,
            closed_sessions=sums.closed,
            failed_sessions=sums.failed,
            rejected_sessions=sums.rejected,
            allowed_share=round(1 - sums.rejected / sums.sessions, 6) if sums.sessions else None,
            total_bytes_sent=sums.bytes_sent,
            total_bytes_received=sums.bytes_received,
            total_duration_seconds=sums.milliseconds / 1000,
            top_users=[TopUser(user=name, **_short(each)) for name, each in users.rows],
            top_destinations=[TopDestination(destination=name, **_short(each)) for name, each in destinations.rows],
            **_range(totals.range),
        )


def _sums(sums: Sums) -> dict[str, int | float]:
    return {
        "sessions": sums.sessions,
        "closed": sums.closed,
        "failed": sums.failed,
        "rejected": sums.rejected,
        "bytes_sent": sums.bytes_sent,
        "bytes_received": sums.bytes_received,
        "duration_seconds": sums.milliseconds / 1000,
    }


def _short(sums: Sums) -> dict[str, int]:
    return {
        "session_count": sums.sessions,
        "bytes_sent": sums.bytes_sent,
        "bytes_received": sums.bytes_received,
    }


def _moment(start: int) -> datetime:
    return datetime.fromtimestamp(start, UTC)


def _range(range: Range) -> dict[str, datetime]:
    return {"from": _moment(range.first), "to": _moment(range.end)}
