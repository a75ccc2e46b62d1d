"""Which live sessions are meant, and in which order they are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from vpn.domain.destination import DestinationPattern, parse_destination
from vpn.domain.session import Session
from vpn.domain.user import canonical
from vpn.proxy.cutting import goes_to
from vpn.services.traffic import Rate


class LiveSession(NamedTuple):
    """A live session, and how fast it moves bytes just now."""

    session: Session
    rate: Rate


class SessionFilter(NamedTuple):
    """What a live session must be; what is empty does not matter."""

    user: str = ""
    """As it is compared (vpn.domain.user)."""
    destination: DestinationPattern | None = None
    inbound: str = ""
    protocol: str = ""
    text: str = ""
    """In lower case; to be found in the user, the destination, the TLS name or the client's address."""
    min_bytes: int = 0
    """In both directions together."""

    def matches(self, session: Session) -> bool:
        """Whether this session is meant."""
        return (
            (not self.user or canonical(session.user) == self.user)
            and (not self.inbound or session.inbound == self.inbound)
            and (not self.protocol or session.protocol == self.protocol)
            and (session.bytes_sent + session.bytes_received >= self.min_bytes)
            and (not self.text or any(self.text in each.lower() for each in _texts(session)))
            and (self.destination is None or goes_to(session, self.destination))
        )


ALL = SessionFilter()


def session_filter(
    user: str = "", destination: str = "", inbound: str = "", protocol: str = "", text: str = "", min_bytes: int = 0
) -> SessionFilter:
    """A filter, as people write it.

    Raises:
        Invalid: `destination` is no pattern (vpn.domain.destination).
    """
    pattern = parse_destination(destination) if destination else None
    return SessionFilter(canonical(user), pattern, inbound, protocol, text.lower(), min_bytes)


SortColumn = Literal[
    "id",
    "user",
    "source_ip",
    "source_port",
    "dest_ip",
    "dest_port",
    "destination",
    "protocol",
    "inbound",
    "engine",
    "server_name",
    "upstream",
    "acl_rule",
    "start_time",
    "duration_seconds",
    "bytes",
    "bytes_sent",
    "bytes_received",
    "packets_sent",
    "packets_received",
    "connect_ms",
    "first_byte_ms",
    "rate",
    "rate_sent",
    "rate_received",
]

_KEYS: dict[SortColumn, Callable[[LiveSession], Any]] = {
    "id": lambda each: each.session.id,
    "user": lambda each: canonical(each.session.user),
    "source_ip": lambda each: each.session.source_host,
    "source_port": lambda each: each.session.source_port,
    "dest_ip": lambda each: each.session.address or each.session.host,
    "dest_port": lambda each: each.session.port,
    "destination": lambda each: (each.session.host, each.session.port),
    "protocol": lambda each: each.session.protocol,
    "inbound": lambda each: each.session.inbound,
    "engine": lambda each: each.session.engine,
    "server_name": lambda each: each.session.server_name,
    "upstream": lambda each: each.session.upstream,
    "acl_rule": lambda each: each.session.rule,
    "start_time": lambda each: each.session.started,
    "duration_seconds": lambda each: -each.session.started,
    "bytes": lambda each: each.session.bytes_sent + each.session.bytes_received,
    "bytes_sent": lambda each: each.session.bytes_sent,
    "bytes_received": lambda each: each.session.bytes_received,
    "packets_sent": lambda each: each.session.packets_sent,
    "packets_received": lambda each: each.session.packets_received,
    "connect_ms": lambda each: each.session.connect_time,
    "first_byte_ms": lambda each: each.session.first_byte_time,
    "rate": lambda each: each.rate.total,
    "rate_sent": lambda each: each.rate.sent,
    "rate_received": lambda each: each.rate.received,
}


def in_order(sessions: list[LiveSession], by: SortColumn, *, descending: bool) -> list[LiveSession]:
    """Sorted by a column; those that are alike by age, the newest first."""
    newest = sorted(sessions, key=lambda each: each.session.id, reverse=True)
    return sorted(newest, key=_KEYS[by], reverse=descending)


def _texts(session: Session) -> tuple[str, ...]:
    return session.user, session.host, session.address, session.server_name, session.source_host
