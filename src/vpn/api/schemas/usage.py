"""What users have used, as the API shows it."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from vpn.services.usage import Usage


class DayView(BaseModel):
    """What was moved on a day, where the user is."""

    day: date
    bytes_up: int
    bytes_down: int


class UsageView(BaseModel):
    """What a user has used."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "alice",
                    "state": "active",
                    "used": 12_400_000_000,
                    "data_limit": 50_000_000_000,
                    "reset": "monthly",
                    "period_start": "2026-11-01T00:00:00+01:00",
                    "period_end": "2026-12-01T00:00:00+01:00",
                    "connections": 3,
                    "days": [{"day": "2026-11-21", "bytes_up": 31_000_000, "bytes_down": 840_000_000}],
                }
            ]
        }
    )
    name: str
    state: str = Field(description="active, or why the user may not connect, e.g. over_quota.")
    used: int = Field(description="Bytes in the present period, both directions together.")
    data_limit: int | None = Field(None, description="Bytes; left out or 0: no limit.")
    reset: str = Field(description="When counting begins anew.")
    period_start: datetime | None = Field(None, description="Left out: since ever.")
    period_end: datetime | None = Field(None, description="Left out: never.")
    connections: int = Field(description="At this moment, over all workers.")
    days: list[DayView] = Field(description="Days on which anything was moved, the oldest first.")

    @classmethod
    def of(cls, usage: Usage) -> UsageView:
        """The view of what a user has used."""
        standing = usage.standing
        return cls(
            name=usage.user.name,
            state=standing.state,
            used=standing.used,
            data_limit=standing.limits.data_limit,
            reset=standing.limits.reset or "never",
            period_start=standing.since,
            period_end=standing.until,
            connections=standing.connections,
            days=[DayView(day=each.day, bytes_up=each.up, bytes_down=each.down) for each in usage.days],
        )
