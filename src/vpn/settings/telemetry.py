"""The settings of what is remembered of noteworthy events."""

from __future__ import annotations

from pydantic import Field

from vpn.settings.values import Section


class TelemetrySettings(Section):
    """Noteworthy events."""

    max_events: int = Field(256, ge=1, le=10_000, description="Events that are remembered, the newest.")
    retention_hours: float = Field(6, gt=0, le=24 * 31, allow_inf_nan=False, description="Hours for which they are.")
