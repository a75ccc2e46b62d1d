"""Sessions, as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class SessionView(BaseModel):
    """One proxied connection, UDP association or forwarded HTTP request; refused ones too."""

    id: str = Field(examples=["0c3f9a51d2400001"])
    user: str = Field(examples=["alice"])
    source_ip: str = Field(examples=["192.0.2.1"])
    source_port: int
    dest_ip: str = Field(description="The address that was connected to; where none is known, what was asked for.")
    dest_port: int
    protocol: str = Field(examples=["socks5"])
    status: Literal["active", "closed", "failed", "rejected_by_acl"]
    acl_decision: Literal["allow", "block"]
    acl_rule: str | None = Field(description="Which rule decided, e.g. groups.staff.rules.0, or default.")
    bytes_sent: int = Field(description="From client to destination.")
    bytes_received: int
    start_time: datetime
    end_time: datetime | None
    duration_seconds: float | None = Field(description="Null: it lasts.")
    destination: str = Field(description="What was asked for: a name or an address.")
    inbound: str = Field(examples=["main"])
    engine: str = Field(examples=["embedded"])
    server_name: str | None = Field(description="The name that the client's TLS asks for, where it was seen.")
    upstream: str | None = Field(description="The parent proxy it went through.")
    reason: str | None = Field(description="Why it ended, or was refused.", examples=["eof"])
    connect_ms: float | None = Field(description="Until the destination was reached; null: it was not.")
    first_byte_ms: float | None = Field(description="From then until the destination's first byte.")
    packets_sent: int = Field(description="Datagrams, of UDP associations.")
    packets_received: int
