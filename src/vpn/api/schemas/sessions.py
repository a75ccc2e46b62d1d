"""Sessions, as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from vpn.domain.address import Endpoint
from vpn.domain.session import Session, show_id


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
    duration_seconds: float = Field(description="Of a live session: until now.")
    destination: str = Field(description="What the client asked for.", examples=["example.com:443"])
    inbound: str = Field(examples=["main"])
    engine: str = Field(examples=["embedded"])
    server_name: str = Field(description="The name that the client's TLS asks for, where it was seen.")
    upstream: str = Field(description="The parent proxy it went through; empty: none.")
    reason: str = Field(description="Why it ended, or was refused.", examples=["eof"])
    connect_ms: float | None = Field(description="Until the destination was reached; null: it was not.")
    first_byte_ms: float | None = Field(description="From then until the destination's first byte.")
    packets_sent: int = Field(description="Datagrams, of UDP associations.")
    packets_received: int

    @classmethod
    def of(cls, session: Session, now: float) -> SessionView:
        """The view of a session; `now` in seconds since the epoch."""
        return cls(**session_fields(session, now))


def session_fields(session: Session, now: float) -> dict[str, Any]:
    """The fields of `SessionView`."""
    refused = session.status == "rejected_by_acl"
    return {
        "id": show_id(session.id),
        "user": session.user,
        "source_ip": session.source_host,
        "source_port": session.source_port,
        "dest_ip": session.address or session.host,
        "dest_port": session.port,
        "protocol": session.protocol,
        "status": session.status,
        "acl_decision": "block" if refused else "allow",
        "acl_rule": session.rule or None,
        "bytes_sent": session.bytes_sent,
        "bytes_received": session.bytes_received,
        "start_time": datetime.fromtimestamp(session.started, UTC),
        "end_time": datetime.fromtimestamp(session.ended, UTC) if session.ended else None,
        "duration_seconds": round(max(0.0, (session.ended or now) - session.started), 3),
        "destination": str(Endpoint(session.host, session.port)) if session.host else "",
        "inbound": session.inbound,
        "engine": session.engine,
        "server_name": session.server_name,
        "upstream": session.upstream,
        "reason": session.reason,
        "connect_ms": round(session.connect_time * 1000, 3) if session.connect_time else None,
        "first_byte_ms": round(session.first_byte_time * 1000, 3) if session.first_byte_time else None,
        "packets_sent": session.packets_sent,
        "packets_received": session.packets_received,
    }
