"""Sessions that ended, as lines of the log."""

from __future__ import annotations

import structlog

from vpn.domain.address import Endpoint
from vpn.domain.session import Session


def log_sessions(sessions: list[Session]) -> None:
    """Write what an operator wants to know: refusals at level info and up, the rest at debug."""
    log = structlog.get_logger("sessions")
    for session in sessions:
        source = str(Endpoint(session.source_host, session.source_port))
        destination = str(Endpoint(session.host, session.port))
        if session.status == "rejected_by_acl":
            log.info(
                "destination refused",
                reason=session.reason,
                user=session.user,
                destination=destination,
                source=source,
            )
        elif session.reason == "authentication_failed":
            log.warning("authentication failed", protocol=session.protocol, source=source)
        else:
            log.debug(
                f"session {session.status}",
                reason=session.reason,
                user=session.user,
                destination=destination if session.host else "",
                source=source,
                bytes_sent=session.bytes_sent,
                bytes_received=session.bytes_received,
                seconds=round(session.ended - session.started, 3),
            )
