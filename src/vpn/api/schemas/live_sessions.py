"""Live sessions, as the API shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpn.api.schemas.sessions import SessionView, session_fields
from vpn.services.session_filter import LiveSession, SessionFilter, SortColumn, session_filter

MOST = 10_000

Pattern = Annotated[str, Field(max_length=2000, examples=["*.example.com", "10.0.0.0/8"])]
Name = Annotated[str, Field(max_length=2000, examples=["alice"])]


class LiveSessionView(SessionView):
    """A live session."""

    rate_sent: float = Field(description="Bytes per second from client to destination, over the last two seconds.")
    rate_received: float


def live_fields(live: LiveSession, now: float) -> dict[str, Any]:
    """The fields of `LiveSessionView`; `now` in seconds since the epoch.

    There may be thousands, so what shows them makes no model of each.
    """
    fields = session_fields(live.session, now)
    fields["rate_sent"] = round(live.rate.sent, 1)
    fields["rate_received"] = round(live.rate.received, 1)
    return fields


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
