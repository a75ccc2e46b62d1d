"""The settings of what is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vpn.settings.values import Section


class MetricsSettings(Section):
    """What is measured, and kept."""

    history_interval: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = Field(
        5.0, description="Seconds between two points of the history."
    )
    history_hours: Annotated[float, Field(gt=0, le=168, allow_inf_nan=False)] = Field(
        24.0, description="Hours that the history is kept, in memory: 1.2 MB for a day."
    )
