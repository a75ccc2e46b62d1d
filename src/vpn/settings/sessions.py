"""The settings of the history of sessions."""

from __future__ import annotations

from pydantic import Field

from vpn.settings.values import Seconds, Section, Size


class SessionSettings(Section):
    """What is kept of sessions that ended."""

    enabled: bool = Field(True, description="Whether sessions are kept; live ones are shown all the same.")
    batch_size: int = Field(5000, ge=1, le=100_000, description="Sessions from which on they are written at once.")
    batch_interval: Seconds = Field(1.0, description="Seconds after which fewer are written, too.")
    checkpoint_interval: Seconds = Field(
        30.0, description="Seconds between two times that what live sessions have moved is written."
    )
    journal_size: Size = Field(
        4 * 1024 * 1024,
        ge=64 * 1024,
        le=1024**3,
        description="The file in which a worker keeps sessions that ended until they are stored, e.g. 4MiB.",
    )
    spill_size: Size = Field(
        256_000_000,
        description="Files for sessions while the database is away, at most; what is beyond that is lost, and counted.",
    )
    retention_days: int = Field(90, ge=0, le=36_600, description="Days for which sessions are kept; 0: for ever.")
    max_rows: int = Field(0, ge=0, description="Sessions that are kept, the newest; 0: any number.")
