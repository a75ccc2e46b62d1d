"""A session as spans: one for all of it, and one below it for each step on its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation import set_span_in_context

from vpn.domain.session import Session, show_id
from vpn.services.tracing import Value

# By the phase that ends it.
_STEPS: Mapping[str, str] = {
    "accepted": "accept",
    "handshake": "handshake",
    "authenticated": "auth",
    "ruled": "rule",
    "resolved": "resolve",
    "connected": "connect",
}
_RELAY = "relay"
_FIRST_BYTE = "first_byte"


def record(tracer: trace.Tracer, session: Session) -> None:
    """Record a session that ended."""
    ended = max(session.started, session.ended)
    span = tracer.start_span(
        f"session {session.protocol or 'unknown'}",
        Context(),
        trace.SpanKind.SERVER,
        _attributes(session),
        start_time=_nanoseconds(session.started),
    )
    if session.status == "failed":
        span.set_attribute("error.type", session.reason)
        span.set_status(trace.StatusCode.ERROR)
    below = set_span_in_context(span, Context())
    for name, began, over in _steps(session, ended):
        step = tracer.start_span(name, below, start_time=_nanoseconds(began))
        for phase in session.phases or ():
            if name == _RELAY and phase.name == _FIRST_BYTE:
                step.add_event(_FIRST_BYTE, timestamp=_nanoseconds(phase.at))
        step.end(_nanoseconds(over))
    span.end(_nanoseconds(ended))


def _steps(session: Session, ended: float) -> Iterator[tuple[str, float, float]]:
    """Name, begin and end of each step, in seconds since the epoch: one begins where the one before was over."""
    began = session.started
    connected = False
    for phase in session.phases or ():
        if phase.name in _STEPS:
            over = min(max(began, phase.at), ended)  # clocks are set back at times
            yield _STEPS[phase.name], began, over
            began = over
            connected = connected or phase.name == "connected"
    if connected:
        yield _RELAY, began, ended


def _attributes(session: Session) -> dict[str, Value]:
    """By OpenTelemetry's semantic conventions, where these know it."""
    said: dict[str, Value] = {
        "session.id": show_id(session.id),
        "client.address": session.source_host,
        "client.port": session.source_port,
        "server.address": session.host,
        "server.port": session.port,
        "network.peer.address": session.address,
        "network.transport": "udp" if "udp" in session.protocol else "tcp",
        "network.protocol.name": session.protocol,
        "user.name": session.user,
        "vpn.inbound": session.inbound,
        "vpn.upstream": session.upstream,
        "vpn.rule": session.rule,
        "vpn.status": session.status,
        "vpn.reason": session.reason,
        "vpn.bytes_sent": session.bytes_sent,
        "vpn.bytes_received": session.bytes_received,
    }
    return {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in said.items()
        if value != ""
    }


def _nanoseconds(moment: float) -> int:
    return int(moment * 1e9)
