"""The settings of the statistics."""

from __future__ import annotations

from pydantic import Field

from vpn.settings.values import Section


class StatisticsSettings(Section):
    """What is kept of what sessions come to, whether or not the sessions themselves are kept that long."""

    hours_kept: int = Field(
        35, ge=1, le=3660, description="Days for which figures are kept by the hour; after that, by the day."
    )
    days_kept: int = Field(
        400, ge=31, le=36_600, description="Days for which figures are kept by the day; after that, by the month."
    )
    destinations: int = Field(
        1000,
        ge=10,
        le=100_000,
        description="Destinations kept apart in each hour, day and month, at least; the others are added up as `*`.",
    )
    users: int = Field(10_000, ge=10, le=1_000_000, description="The same of users.")
