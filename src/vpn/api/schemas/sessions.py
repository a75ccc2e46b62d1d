"""Sessions, as the API shows them and is asked for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vpn.domain.session import Session, Status, show_id
from vpn.domain.session_query import DEEPEST, LARGEST_PAGE, LONGEST_TEXT, Page, SessionRequest, show_cursor
from vpn.domain.units import parse_past


class SessionView(BaseModel):
    """One connection of a client, UDP association, or forwarded request."""

    id: str = Field(description="In the order of time.", examples=["0c5a1f2e40000001"])
    user: str
    source_ip: str
    source_port: int
    dest_ip: str = Field(description="The address; where none is known, what was asked for.")
    dest_port: int
    destination: str = Field(description="What was asked for: a name or an address.")
    protocol: str = Field(examples=["socks5"])
    status: Status
    acl_decision: Literal["allow", "block"]
    acl_rule: str | None = Field(description="The rule that decided.", examples=["groups.staff.rules.0"])
    reason: str | None = Field(description="Why it ended, or was refused.", examples=["eof"])
    bytes_sent: int = Field(description="From client to destination.")
    bytes_received: int
    packets_sent: int = Field(description="Datagrams, of UDP only.")
    packets_received: int
    start_time: datetime
    end_time: datetime | None = Field(description="Null: it lasts.")
    duration_seconds: float | None = Field(description="Null: it lasts.")
    inbound: str
    engine: str
    upstream: str | None = Field(description="The parent proxy that it went through.")
    server_name: str | None = Field(description="The name that the client's TLS asked for.")
    connect_ms: float | None = Field(description="Milliseconds from the request until the destination was reached.")
    first_byte_ms: float | None = Field(description="Milliseconds from then until its first byte.")

    @classmethod
    def of(cls, session: Session) -> SessionView:
        """The view of a session."""
        ended = session.ended or None
        return cls(
            id=show_id(session.id),
            user=session.user,
            source_ip=session.source_host,
            source_port=session.source_port,
            dest_ip=session.address or session.host,
            dest_port=session.port,
            destination=session.host,
            protocol=session.protocol,
            status=session.status,
            acl_decision="block" if session.status == "rejected_by_acl" else "allow",
            acl_rule=session.rule or None,
            reason=session.reason or None,
            bytes_sent=session.bytes_sent,
            bytes_received=session.bytes_received,
            packets_sent=session.packets_sent,
            packets_received=session.packets_received,
            start_time=datetime.fromtimestamp(session.started, UTC),
            end_time=None if ended is None else datetime.fromtimestamp(ended, UTC),
            duration_seconds=None if ended is None else round(max(0.0, ended - session.started), 3),
            inbound=session.inbound,
            engine=session.engine,
            upstream=session.upstream or None,
            server_name=session.server_name or None,
            connect_ms=round(session.connect_time * 1000, 3) or None,
            first_byte_ms=round(session.first_byte_time * 1000, 3) or None,
        )


class SessionFilter(BaseModel):
    """Which sessions."""

    model_config = ConfigDict(populate_by_name=True)
    destination: str = Field("", max_length=LONGEST_TEXT, description="A name, an address, or a network: 10.0.0.0/8.")
    dest_ip: str = Field("", max_length=LONGEST_TEXT, description="The same as destination.")
    status: str = Field("", max_length=32, description="active, closed, failed or rejected_by_acl.")
    inbound: str = Field("", max_length=LONGEST_TEXT)
    hours: float | None = Field(None, description="Those that began in so many hours up to now.")
    since: str = Field(
        "",
        max_length=100,
        alias="from",
        description="Those that began then or later: 2026-12-31, 2026-12-31T18:00:00Z, or 7d (so long ago).",
    )
    until: str = Field("", max_length=100, alias="to", description="Those that began before; written likewise.")
    search: str = Field("", max_length=LONGEST_TEXT, description="Part of the user's name or the destination.")

    def request(self) -> SessionRequest:
        """What the services are asked for.

        Raises:
            Invalid: a moment is none.
        """
        now = datetime.now(UTC)
        return SessionRequest(
            destination=self.destination or self.dest_ip,
            status=self.status,
            inbound=self.inbound,
            hours=self.hours,
            since=parse_past(self.since, now) if self.since else None,
            until=parse_past(self.until, now) if self.until else None,
            text=self.search,
        )


class SessionOrder(BaseModel):
    """In which order, and which part of it."""

    sort_by: str = Field(
        "start_time", max_length=32, description="start_time, duration_seconds, bytes_sent or bytes_received."
    )
    sort_dir: str = Field("desc", max_length=4, description="asc or desc.")
    page: int = Field(1, ge=1, le=1_000_000)
    page_size: int = Field(50, ge=1, le=LARGEST_PAGE)
    cursor: str = Field("", max_length=LONGEST_TEXT, description="The next_cursor of a page, to go on from there.")


class SessionPage(BaseModel):
    """One page of sessions. `next_cursor` leads through all of them; page numbers reach a part only."""

    data: list[SessionView]
    total: int | None = Field(description="Sessions in all; null where a cursor was given.")
    total_is_exact: bool = Field(description="False: there are more than total.")
    page: int
    page_size: int
    total_pages: int | None = Field(description="Pages that can be asked for by number.")
    next_cursor: str | None = Field(description="Null: there are no more.")

    @classmethod
    def of(cls, page: Page, order: SessionOrder) -> SessionPage:
        """The view of a page."""
        following = page.next and show_cursor(page.next, order.sort_by, order.sort_dir.lower() == "desc")
        reached = None if page.total is None else min(page.total, DEEPEST)
        return cls(
            data=[SessionView.of(session) for session in page.sessions],
            total=page.total,
            total_is_exact=page.exact,
            page=order.page,
            page_size=order.page_size,
            total_pages=None if reached is None else -(-reached // order.page_size),
            next_cursor=following,
        )
