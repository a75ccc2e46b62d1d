"""Bans, as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpn.domain.bans import LONGEST_REASON, Ban

Kind = Literal["source", "user"]
# The domain decides what is allowed, in words for a person. Here nonsense is kept away.
Subject = Annotated[str, Field(max_length=2000, examples=["192.0.2.1"])]


class NewBan(BaseModel):
    """Somebody to ban."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"subject": "192.0.2.1", "duration": "1h", "reason": "spam"}]}
    )
    subject: Subject = Field(description="An address, of IPv6 its whole /64, or the name of a user.")
    kind: Kind | None = Field(None, description="Left out: what looks like an address is a source.")
    duration: Annotated[str, Field(max_length=100)] = Field("1d", description="As 90m, 12h, 30d, or in seconds.")
    reason: Annotated[str, Field(max_length=2000, json_schema_extra={"maxLength": LONGEST_REASON})] = Field(
        "", description="Anything, at most 200 characters."
    )


class BanView(BaseModel):
    """A ban."""

    kind: Kind = Field(description="Whether an address or a name is banned.")
    subject: str = Field(examples=["192.0.2.1", "2001:db8::/64", "alice"])
    reason: str = Field(examples=["brute_force"])
    failures: int = Field(description="Wrong passwords that led to it; 0: it was made by hand.")
    created_at: datetime
    until: datetime
    exempt: list[str] = Field(description="Addresses from which the user gets in all the same, being known there.")

    @classmethod
    def of(cls, ban: Ban) -> BanView:
        """The view of a ban."""
        return cls(
            kind=ban.kind,
            subject=ban.subject,
            reason=ban.reason,
            failures=ban.failures,
            created_at=ban.created_at,
            until=ban.until,
            exempt=list(ban.exempt),
        )


class BanPage(BaseModel):
    """One page of bans, the newest first."""

    data: list[BanView]
    total: int = Field(description="Bans in all.")
    page: int
    page_size: int
    total_pages: int


class Lifted(BaseModel):
    """Bans that were lifted."""

    lifted: int
