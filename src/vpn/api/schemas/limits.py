"""Limits, as the API takes and shows them.

Taken are whole numbers, or texts as people write them; the domain reads them, and says in words what is wrong.
Shown are whole numbers only, and only of what is said.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from vpn.domain.limits import Limits, Reset, Shared
from vpn.domain.units import LARGEST

_Number = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
_Text = Annotated[str, Field(max_length=200)]
_Texts = Annotated[list[_Text], Field(max_length=64)]
_Count = _Number | _Text | None
_Rate = Annotated[_Count, Field(examples=["20mbit", 20_000_000])]
_Size = Annotated[_Count, Field(examples=["50GB", 50_000_000_000])]
_List = _Texts | _Text | None

_DOWN = "Bits per second towards the client."
_UP = "Bits per second from the client."
_DOWN_GUARANTEED = "Bits per second towards the client that are there even if others want more."
_UP_GUARANTEED = "Bits per second from the client that are there even if others want more."
_SHARE = "Weight, 1 to 1000, by which what nobody has a guarantee on is shared out."
_PRIORITY = "Class, 0 to 7; the higher ones come first."


class SharedChanges(BaseModel):
    """What the members of a group have together. What is left out stays; null is no limit."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"down": "1gbit", "up": 500_000_000}]})
    down: _Rate = Field(None, description=_DOWN)
    up: _Rate = Field(None, description=_UP)
    down_guaranteed: _Rate = Field(None, description=_DOWN_GUARANTEED)
    up_guaranteed: _Rate = Field(None, description=_UP_GUARANTEED)
    share: _Count = Field(None, description=_SHARE)
    priority: _Count = Field(None, description=_PRIORITY)


class LimitChanges(SharedChanges):
    """Limits to set. What is left out stays; null is inherited again; 0 or an empty list is no limit at all."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"down": "20mbit", "data_limit": "50GB", "reset": "monthly", "up": None}]},
    )
    max_connections: _Count = Field(None, description="Connections at once.")
    connection_rate: _Count = Field(None, description="New connections per second.")
    max_devices: _Count = Field(None, description="Source addresses at once, at most 32.")
    sources: _List = Field(None, description="Networks that the user may come from.", examples=[["10.0.0.0/8"]])
    inbounds: _List = Field(None, description="Inbounds that the user may come by.", examples=[["main"]])
    hours: _List = Field(None, description="When the user may connect.", examples=[["mon-fri 08:00-18:00"]])
    timezone: _Text | None = Field(None, description="The zone of hours and periods.", examples=["Europe/Berlin"])
    expires_at: _Text | None = Field(
        None,
        description="A date, a date and time with zone, a duration from now, or never.",
        examples=["30d", "2026-12-31", "2026-12-31T18:00:00Z"],
    )
    expires_after: _Count = Field(None, description="Seconds from the first use.", examples=["30d", 2592000])
    burst: _Size = Field(None, description="Bytes that may go at once after a pause.")
    data_limit: _Size = Field(None, description="Bytes within a period, both directions together.")
    reset: _Text | None = Field(
        None, description="The period: never, hourly, daily, weekly, monthly, yearly or rolling (the last 30 days)."
    )
    warn_at: Annotated[list[_Number | _Text], Field(max_length=64)] | _Text | None = Field(
        None, description="Percentages of data_limit at which a warning is given.", examples=[[80, 95]]
    )
    throttle: _Rate = Field(None, description="Bits per second each way beyond data_limit; 0: the user is cut.")


class SharedView(BaseModel):
    """What the members of a group have together; what is not limited is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"down": 1_000_000_000}]})
    down: int | None = Field(None, description=_DOWN)
    up: int | None = Field(None, description=_UP)
    down_guaranteed: int | None = Field(None, description=_DOWN_GUARANTEED)
    up_guaranteed: int | None = Field(None, description=_UP_GUARANTEED)
    share: int | None = Field(None, description=_SHARE)
    priority: int | None = Field(None, description=_PRIORITY)

    @classmethod
    def of(cls, shared: Shared) -> SharedView:
        """The view of them."""
        return cls(**_said(shared))


class LimitsView(SharedView):
    """Limits; what is not said is left out, 0 or an empty list is no limit whatever would be inherited."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"down": 20_000_000, "data_limit": 50_000_000_000}]})
    max_connections: int | None = Field(None, description="Connections at once.")
    connection_rate: int | None = Field(None, description="New connections per second.")
    max_devices: int | None = Field(None, description="Source addresses at once.")
    sources: list[str] | None = Field(None, description="Networks that the user may come from.")
    inbounds: list[str] | None = Field(None, description="Inbounds that the user may come by.")
    hours: list[str] | None = Field(None, description="When the user may connect.")
    timezone: str | None = Field(None, description="The zone of hours and periods.")
    expires_at: datetime | None = Field(None, description="From then on the user may not connect.")
    expires_after: int | None = Field(None, description="Seconds from the first use.")
    burst: int | None = Field(None, description="Bytes that may go at once after a pause.")
    data_limit: int | None = Field(None, description="Bytes within a period, both directions together.")
    reset: Reset | None = Field(None, description="The period; rolling: the last 30 days.")
    warn_at: list[int] | None = Field(None, description="Percentages of data_limit at which a warning is given.")
    throttle: int | None = Field(None, description="Bits per second each way beyond data_limit.")

    @classmethod
    def of_limits(cls, limits: Limits) -> LimitsView:
        """The view of them."""
        return cls(**_said(limits))


def _said(limits: Limits | Shared) -> dict[str, Any]:
    return {field: value for field, value in msgspec.structs.asdict(limits).items() if value is not None}
