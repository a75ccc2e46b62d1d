"""Sessions that ended, as lines of the log."""

from __future__ import annotations

import logging
from typing import Any

import structlog

from vpn.domain.address import Endpoint
from vpn.domain.session import Session
from vpn.services.live_sessions import News


def log_sessions(news: News) -> None:
    """Write what an operator wants to know: refusals at level info and up, the rest at debug."""
    log = structlog.get_logger("sessions")
    every = log.is_enabled_for(logging.DEBUG)
    for session, _, _ in news.ended:
        if session.status == "rejected_by_acl":
            log.info("destination refused", reason=session.reason, **_ends(session))
        elif session.reason == "authentication_failed":
            log.warning("authentication failed", protocol=session.protocol, source=_source(session))
        elif every:  # there are thousands in a second: their lines are not put together for nothing
            log.debug(
                f"session {session.status}",
                reason=session.reason,
                **_ends(session),
                bytes_sent=session.bytes_sent,
                bytes_received=session.bytes_received,
                seconds=round(session.ended - session.started, 3),
                **({"upstream": session.upstream} if session.upstream else {}),
            )


def _ends(session: Session) -> dict[str, Any]:
    destination = str(Endpoint(session.host, session.port)) if session.host else ""
    return {"user": session.user, "destination": destination, "source": _source(session)}


def _source(session: Session) -> str:
    return str(Endpoint(session.source_host, session.source_port))
