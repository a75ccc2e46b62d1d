"""Lines of the log and noteworthy events, as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from vpn.services.log_lines import LogLine
from vpn.services.telemetry import Severity, TelemetryEvent

Level = Literal["debug", "info", "warning", "error", "critical"]


class LogLineView(BaseModel):
    """A line of the log."""

    id: int = Field(description="Later lines have greater ones.")
    time: datetime
    level: Level
    area: str = Field(description="The part of the daemon that it is from.", examples=["sessions"])
    event: str = Field(examples=["destination refused"])
    fields: dict[str, Any] = Field(description="What else it says.", examples=[{"user": "alice"}])

    @classmethod
    def of(cls, line: LogLine) -> LogLineView:
        """The view of a line."""
        return cls.model_validate(line, from_attributes=True)


class LogLines(BaseModel):
    """Lines of the log, the oldest first."""

    data: list[LogLineView]


class TelemetryEventView(BaseModel):
    """Something noteworthy."""

    id: int
    timestamp: datetime = Field(description="When it was seen last.")
    severity: Severity
    category: str = Field(description="The part of the daemon that it is from.", examples=["proxy"])
    message: str = Field(examples=["worker died"])
    details: dict[str, Any] = Field(description="Of the last time.", examples=[{"worker": 0, "code": -9}])
    count: int = Field(description="How often it was seen, one time after the other.", examples=[1])

    @classmethod
    def of(cls, event: TelemetryEvent) -> TelemetryEventView:
        """The view of an event."""
        return cls.model_validate(event, from_attributes=True)
