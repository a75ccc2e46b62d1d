"""The settings of what is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vpn.settings.values import Section


class MetricsSettings(Section):
    """What is measured and kept, and who may see it."""

    enabled: bool = Field(True, description="Whether `/metrics` is served, for Prometheus.")
    public: bool = Field(False, description="Whether `/metrics` is open to whoever reaches the API, without a token.")
    users: int = Field(
        20, ge=0, le=1000, description="How many users have metrics of their own: those who move the most."
    )
    destinations: int = Field(20, ge=0, le=1000, description="The same for destinations; 0: none is named.")
    history_interval: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = Field(
        5.0, description="Seconds between two points of the history."
    )
    history_hours: Annotated[float, Field(gt=0, le=168, allow_inf_nan=False)] = Field(
        24.0, description="Hours that the history is kept, in memory: 1.2 MB for a day."
    )
