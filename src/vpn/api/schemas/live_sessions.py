"""Live sessions, as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpn.api.schemas.sessions import SessionView
from vpn.domain.session import show_id
from vpn.services.session_filter import LiveSession, SessionFilter, SortColumn, session_filter

MOST = 10_000

Pattern = Annotated[str, Field(max_length=2000, examples=["*.example.com", "10.0.0.0/8"])]
Name = Annotated[str, Field(max_length=2000, examples=["alice"])]


class LiveSessionView(SessionView):
    """A live session."""

    rate_sent: float = Field(description="Bytes per second from client to destination, over the last two seconds.")
    rate_received: float
    duration_seconds: float = Field(description="Until now, if it lasts.")


def live_fields(live: LiveSession, now: float) -> dict[str, Any]:
    """The fields of `LiveSessionView`; `now` in seconds since the epoch.

    There may be thousands, so what shows them makes no model of each.
    """
    session, rate = live
    return {
        "id": show_id(session.id),
        "user": session.user,
        "source_ip": session.source_host,
        "source_port": session.source_port,
        "dest_ip": session.address or session.host,
        "dest_port": session.port,
        "protocol": session.protocol,
        "status": session.status,
        "acl_decision": "block" if session.status == "rejected_by_acl" else "allow",
        "acl_rule": session.rule or None,
        "bytes_sent": session.bytes_sent,
        "bytes_received": session.bytes_received,
        "start_time": datetime.fromtimestamp(session.started, UTC),
        "end_time": datetime.fromtimestamp(session.ended, UTC) if session.ended else None,
        "duration_seconds": round(max(0.0, (session.ended or now) - session.started), 3),
        "destination": session.host,
        "inbound": session.inbound,
        "engine": session.engine,
        "server_name": session.server_name or None,
        "upstream": session.upstream or None,
        "reason": session.reason or None,
        "connect_ms": round(session.connect_time * 1000, 3) or None,
        "first_byte_ms": round(session.first_byte_time * 1000, 3) or None,
        "packets_sent": session.packets_sent,
        "packets_received": session.packets_received,
        "rate_sent": round(rate.sent, 1),
        "rate_received": round(rate.received, 1),
    }


class LiveQuery(BaseModel):
    """Which live sessions, and in which order; what is left out does not matter."""

    user: Name = ""
    destination: Pattern = Field("", description="A name, an address, a network or a pattern, as in rules.")
    dest_ip: Pattern = Field("", description="The same, for clients that know it by this name.")
    inbound: Name = ""
    protocol: Name = ""
    text: Annotated[str, Field(max_length=2000)] = Field(
        "", description="Part of a user, a destination, a TLS name or a client's address."
    )
    min_bytes: int = Field(0, ge=0, le=2**62, description="In both directions together.")
    sort_by: SortColumn = "start_time"
    sort_dir: Literal["asc", "desc"] = "desc"
    limit: int = Field(MOST, ge=1, le=MOST)

    def filter(self) -> SessionFilter:
        """What a session must be.

        Raises:
            Invalid: the destination is no pattern.
        """
        destination = self.destination or self.dest_ip
        return session_filter(self.user, destination, self.inbound, self.protocol, self.text, self.min_bytes)


class Whose(BaseModel):
    """Which live sessions are meant: those of this user, to this destination, or both."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"user": "alice"}]})
    user: Name = ""
    destination: Pattern = Field(
        "", description="A name, an address, a network or a pattern, and :port if need be, as in rules."
    )


class Terminated(BaseModel):
    """Sessions that were closed."""

    terminated: int
