"""HTTP/1.1 as a proxy protocol: CONNECT (RFC 9110 §9.3.6) with Basic credentials (RFC 7617).

A request without credentials, or with wrong ones, is answered 407 and the connection is kept, so that
the client can try again on it: clients such as curl and browsers do.

    client                                             server
    CONNECT host:port HTTP/1.1                 ──►
                                               ◄──     407, or
                                               ◄──     200 and the tunnel, or 403, 502, 504 and the end
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Generator

from vpn.protocols.errors import HTTPError
from vpn.protocols.events import Authenticate, Connect, Connected, Parser, Refusal, Refused, Send
from vpn.protocols.reader import LimitExceeded, Reader

START_LINE_LIMIT = 8 * 1024
HEAD_LIMIT = 32 * 1024
CREDENTIAL_ATTEMPTS = 3

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_STATUS = {
    Refusal.NOT_ALLOWED: (403, "Forbidden", "destination_ip_prohibited"),
    Refusal.NAME_NOT_FOUND: (502, "Bad Gateway", "dns_error"),
    Refusal.CONNECTION_REFUSED: (502, "Bad Gateway", "connection_refused"),
    Refusal.NETWORK_UNREACHABLE: (502, "Bad Gateway", "destination_ip_unroutable"),
    Refusal.HOST_UNREACHABLE: (502, "Bad Gateway", "destination_ip_unroutable"),
    Refusal.TIMED_OUT: (504, "Gateway Timeout", "connection_timeout"),
    Refusal.FAILED: (502, "Bad Gateway", "proxy_internal_error"),
}
_ESTABLISHED = Send(b"HTTP/1.1 200 Connection established\r\n\r\n")


def parse(reader: Reader) -> Parser:
    """Serve one HTTP client up to its tunnel.

    Raises:
        HTTPError: with the reply the client should get.
    """
    for attempts_left in reversed(range(CREDENTIAL_ATTEMPTS)):
        target, headers = yield from _head(reader)
        credentials = _basic_credentials(headers)
        if credentials is not None and (yield credentials):
            break
        if not attempts_left:
            raise HTTPError("authentication_failed", _challenge(close=True))
        yield Send(_challenge(close=False))

    outcome = yield _destination(target)
    if isinstance(outcome, Connected):
        yield _ESTABLISHED
    elif isinstance(outcome, Refused):
        status, phrase, error = _STATUS[outcome.why]
        # Proxy-Status (RFC 9209) tells a person with `curl -v` what the status code alone does not.
        extra = f"Proxy-Status: vpn; error={error}\r\n"
        raise HTTPError(outcome.why.value, _response(status, phrase, extra, close=True))


def _head(reader: Reader) -> Generator[None, None, tuple[str, list[tuple[str, str]]]]:
    """Read one request head: the target of a CONNECT, and the header fields in order."""
    try:
        start = yield from _start_line(reader)
        lines = yield from _field_lines(reader)
    except LimitExceeded:
        raise _rejected("head_too_large", 431, "Request Header Fields Too Large") from None
    method, target = _parse_start_line(start)
    headers = [_parse_field(line) for line in lines]
    if any(name in ("content-length", "transfer-encoding") and value != "0" for name, value in headers):
        # RFC 9110 §9.3.6: content of a CONNECT has no meaning, and is a way to smuggle a second request.
        raise _rejected("unexpected_content", 400, "Bad Request")
    if method != "CONNECT":
        raise _rejected("unknown_method", 501, "Not Implemented: use CONNECT (curl --proxytunnel)")
    return target, headers


def _start_line(reader: Reader) -> Generator[None, None, bytes]:
    try:
        line = yield from reader.until(b"\r\n", START_LINE_LIMIT)
        if not line:  # RFC 9112 §2.2: tolerate an empty line before the request line
            line = yield from reader.until(b"\r\n", START_LINE_LIMIT)
    except LimitExceeded:
        raise _rejected("start_line_too_long", 414, "URI Too Long") from None
    return line


def _field_lines(reader: Reader) -> Generator[None, None, list[bytes]]:
    lines: list[bytes] = []
    left = HEAD_LIMIT
    while line := (yield from reader.until(b"\r\n", left)):
        lines.append(line)
        left -= len(line) + 2
    return lines


def _parse_start_line(line: bytes) -> tuple[str, str]:
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    known = version in (b"HTTP/1.1", b"HTTP/1.0")
    if not method or not _TOKEN.issuperset(method) or not known or not _visible_ascii(target):
        raise _rejected("bad_start_line", 400, "Bad Request")
    return method.decode("ascii"), target.decode("ascii")


def _parse_field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not name or not _TOKEN.issuperset(name) or b"\0" in value or b"\r" in value or b"\n" in value:
        raise _rejected("bad_header", 400, "Bad Request")
    return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")


def _visible_ascii(text: bytes) -> bool:
    return bool(text) and all(0x21 <= byte <= 0x7E for byte in text)


def _basic_credentials(headers: list[tuple[str, str]]) -> Authenticate | None:
    for name, value in headers:
        if name != "proxy-authorization":
            continue
        scheme, _, encoded = value.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        user, _, password = decoded.partition(":")
        return Authenticate(user, password)
    return None


def _destination(target: str) -> Connect:
    """Split the authority form (RFC 9112 §3.2.3): ``host:port`` or ``[v6]:port``."""
    host, _, port = target.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    number = int(port) if port.isdigit() and len(port) <= 5 else 0
    if not 0 < len(host) <= 255 or not 0 < number < 65536:
        raise _rejected("bad_target", 400, "Bad Request")
    return Connect(host, number)


def _challenge(*, close: bool) -> bytes:
    fields = 'Proxy-Authenticate: Basic realm="vpn", charset="UTF-8"\r\n'
    return _response(407, "Proxy Authentication Required", fields, close=close)


def _rejected(reason: str, status: int, phrase: str) -> HTTPError:
    return HTTPError(reason, _response(status, phrase, "", close=True))


def _response(status: int, phrase: str, fields: str, *, close: bool) -> bytes:
    body = f"{status} {phrase}\n"
    connection = "close" if close else "keep-alive"
    return (
        f"HTTP/1.1 {status} {phrase}\r\n{fields}Content-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: {connection}\r\n\r\n{body}"
    ).encode("ascii")
