"""Lines of the access log: one for each session that ended."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from vpn.domain.address import Endpoint
from vpn.domain.session import Session, show_id

Line = Callable[[Session], bytes]

_encode = msgspec.json.Encoder().encode
_PLAIN = re.compile(r"[!#-<>-~]+")  # what is printable, without quote and equals sign
_REFUSALS = {"authentication_failed": 407, "rejected_by_acl": 403}


def _fields(session: Session) -> dict[str, Any]:
    """What is said of a session, in this order; times in seconds."""
    return {
        "time": datetime.fromtimestamp(session.ended, UTC).isoformat(timespec="milliseconds"),
        "session": show_id(session.id),
        "user": session.user,
        "source": str(Endpoint(session.source_host, session.source_port)),
        "inbound": session.inbound,
        "protocol": session.protocol,
        "host": session.host,
        "port": session.port,
        "address": session.address,
        "upstream": session.upstream,
        "status": session.status,
        "reason": session.reason,
        "rule": session.rule,
        "bytes_sent": session.bytes_sent,
        "bytes_received": session.bytes_received,
        "duration": round(session.ended - session.started, 3),
        "connect_time": round(session.connect_time, 6),
        "first_byte_time": round(session.first_byte_time, 6),
    }


def json_line(session: Session) -> bytes:
    """An object."""
    try:
        return _encode(_fields(session)) + b"\n"
    except UnicodeEncodeError:  # a name that is no UTF-8
        return json.dumps(_fields(session)).encode() + b"\n"


def logfmt_line(session: Session) -> bytes:
    """Pairs of key and value; values with anything strange in them are written as in JSON."""
    pairs = (f"{key}={_logfmt(value)}" for key, value in _fields(session).items() if value != "")
    return f"{' '.join(pairs)}\n".encode()


def combined_line(session: Session) -> bytes:
    """As web servers write it, with the bytes that were received, and the seconds that it took at the end.

    The status is the one that HTTP has for what happened; the agent is the session's identifier.
    """
    moment = datetime.fromtimestamp(session.ended, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    wanted = str(Endpoint(session.host, session.port)) if session.host else "-"
    status = 200 if session.status == "closed" else _REFUSALS.get(session.reason) or _REFUSALS.get(session.status, 502)
    said = " ".join((_quoted(wanted), _quoted(session.protocol or "-")))
    return (
        f'{session.source_host} - {_quoted(session.user or "-")} [{moment}] "CONNECT {said}" {status} '
        f'{session.bytes_received} "-" "{show_id(session.id)}" {session.ended - session.started:.3f}\n'
    ).encode()


FORMATS: Mapping[str, Line] = {"json": json_line, "logfmt": logfmt_line, "combined": combined_line}


def _logfmt(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _quoted(text: str) -> str:
    """Text that ends neither its field nor its line."""
    if text.isascii() and text.isprintable() and not set(text) & set(' "\\'):
        return text
    return "".join(
        f"\\x{byte:02x}" if byte <= 0x20 or byte >= 0x7F or byte in b'"\\' else chr(byte)
        for byte in text.encode(errors="replace")
    )
