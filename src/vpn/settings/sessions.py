"""The settings of the history of sessions."""

from __future__ import annotations

from pydantic import Field

from vpn.settings.values import Seconds, Section


class SessionSettings(Section):
    """What is kept of sessions that ended."""

    enabled: bool = Field(True, description="Whether sessions are kept; live ones are shown all the same.")
    batch_size: int = Field(5000, ge=1, le=100_000, description="Sessions written in one transaction, at most.")
    batch_interval: Seconds = Field(1.0, description="Seconds between two of these.")
    checkpoint_interval: Seconds = Field(
        30.0, description="Seconds between two times that what live sessions have moved is written."
    )
