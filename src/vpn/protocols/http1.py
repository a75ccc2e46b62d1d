"""HTTP/1.1 as a proxy protocol: CONNECT, and requests to be forwarded, with Basic credentials (RFC 7617).

A request without credentials, or with wrong ones, is answered 407 and the connection is kept, so that
the client can try again on it: clients such as curl and browsers do.

    client                                             server
    CONNECT host:port HTTP/1.1                 ──►
                                               ◄──     407, or
                                               ◄──     200 and the tunnel, or 403, 502, 504 and the end

    GET http://host/path HTTP/1.1              ──►
                                               ◄──     407, or what the destination answers; then the next

RFC 9110 §9.3.6 tells of CONNECT, §7 of forwarding; how messages are framed is RFC 9112.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Generator
from typing import NamedTuple

from vpn.protocols.errors import HTTPError
from vpn.protocols.events import CHUNKED, Authenticate, Connect, Connected, Forward, Parser, Refusal, Refused, Send
from vpn.protocols.http1_message import (
    TOKEN,
    Headers,
    MessageError,
    connection_options,
    content_length,
    end_to_end,
    parse_fields,
    read_lines,
    write_head,
)
from vpn.protocols.reader import LimitExceeded, Reader

START_LINE_LIMIT = 8 * 1024
HEAD_LIMIT = 32 * 1024
CREDENTIAL_ATTEMPTS = 3
BODY_SKIPPED = 64 * 1024  # bytes of a refused request's body that are read so that the connection can be kept

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


class _Request(NamedTuple):
    method: str
    target: str
    version: str
    headers: Headers


def parse(reader: Reader, *, admitted: bool = False, via: str = "") -> Parser:
    """Serve one HTTP client up to its tunnel, or up to the request that is to be forwarded.

    Args:
        reader: where its bytes come from.
        admitted: it needs no credentials.
        via: the name by which forwarded requests tell of us (RFC 9110 §7.6.3); empty: they do not.

    Raises:
        HTTPError: with the reply the client should get.
    """
    for attempts_left in reversed(range(CREDENTIAL_ATTEMPTS)):
        request = yield from _request(reader)
        length = _body_length(request)
        credentials = _basic_credentials(request.headers)
        if credentials is None and admitted:
            break
        if credentials is not None and (yield credentials):
            break
        # What follows a body that was not read is not a request.
        if not attempts_left or not 0 <= length <= BODY_SKIPPED:
            raise HTTPError("authentication_failed", _challenge(close=True))
        yield Send(_challenge(close=False))
        yield from reader.exactly(length)

    step = _destination(request.target) if request.method == "CONNECT" else _forward(request, length, via)
    outcome = yield step
    if isinstance(outcome, Refused):
        status, phrase, error = _STATUS[outcome.why]
        # Proxy-Status (RFC 9209) tells a person with `curl -v` what the status code alone does not.
        extra = f"Proxy-Status: vpn; error={error}\r\n"
        raise HTTPError(outcome.why.value, response(status, phrase, extra, close=True))
    if isinstance(outcome, Connected) and isinstance(step, Connect):
        yield _ESTABLISHED


def response(status: int, phrase: str, fields: str, *, close: bool) -> bytes:
    """An answer of our own; `fields` are header lines, each with its line end."""
    body = f"{status} {phrase}\n"
    connection = "close" if close else "keep-alive"
    return (
        f"HTTP/1.1 {status} {phrase}\r\n{fields}Content-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: {connection}\r\n\r\n{body}"
    ).encode("ascii")


def _request(reader: Reader) -> Generator[None, None, _Request]:
    """Read one request head."""
    start = yield from _start_line(reader)
    method, target, version = _parse_start_line(start)
    try:
        lines = yield from read_lines(reader, HEAD_LIMIT)
        headers = parse_fields(lines)
    except LimitExceeded:
        raise _rejected("head_too_large", 431, "Request Header Fields Too Large") from None
    except MessageError:
        raise _rejected("bad_header", 400, "Bad Request") from None
    return _Request(method, target, version, headers)


def _start_line(reader: Reader) -> Generator[None, None, bytes]:
    try:
        line = yield from reader.until(b"\r\n", START_LINE_LIMIT)
        if not line:  # RFC 9112 §2.2: tolerate an empty line before the request line
            line = yield from reader.until(b"\r\n", START_LINE_LIMIT)
    except LimitExceeded:
        raise _rejected("start_line_too_long", 414, "URI Too Long") from None
    return line


def _parse_start_line(line: bytes) -> tuple[str, str, str]:
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    known = version in (b"HTTP/1.1", b"HTTP/1.0")
    if not method or not TOKEN.issuperset(method) or not known or not _visible_ascii(target):
        raise _rejected("bad_start_line", 400, "Bad Request")
    return method.decode("ascii"), target.decode("ascii"), version.decode("ascii")


def _visible_ascii(text: bytes) -> bool:
    return bool(text) and all(0x21 <= byte <= 0x7E for byte in text)


def _body_length(request: _Request) -> int:
    """The bytes of body, or `CHUNKED`."""
    try:
        length = content_length(request.headers)
    except MessageError:
        raise _rejected("bad_content_length", 400, "Bad Request") from None
    codings = [value for name, value in request.headers if name.lower() == "transfer-encoding"]
    if request.method == "CONNECT":
        if codings or length:
            # RFC 9110 §9.3.6: content of a CONNECT has no meaning, and is a way to smuggle a second request.
            raise _rejected("unexpected_content", 400, "Bad Request")
        return 0
    if not codings:
        return length or 0
    if length is not None or request.version == "HTTP/1.0":  # RFC 9112 §6.1: this is how requests are smuggled
        raise _rejected("ambiguous_length", 400, "Bad Request")
    if [coding.lower() for coding in codings] != ["chunked"]:
        raise _rejected("unknown_coding", 501, "Not Implemented")
    return CHUNKED


def _basic_credentials(headers: Headers) -> Authenticate | None:
    for name, value in headers:
        if name.lower() != "proxy-authorization":
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
    return Connect(*_authority(target, default_port=0))


def _authority(text: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if default_port and (not colon or text.endswith("]")):
        host, port = text, str(default_port)
    elif default_port and not port:
        port = str(default_port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    number = int(port) if port.isdigit() and len(port) <= 5 else 0
    if not 0 < len(host) <= 255 or not 0 < number < 65536:
        raise _rejected("bad_target", 400, "Bad Request")
    return host, number


def _forward(request: _Request, length: int, via: str) -> Forward:
    """The request as the destination gets it (RFC 9110 §7.6, RFC 9112 §3.2)."""
    scheme, separator, rest = request.target.partition("://")
    if not separator or scheme.lower() != "http":
        raise _rejected("bad_target", 400, "Bad Request: a proxy takes http://host/path, or CONNECT")
    ends = [end for end in map(rest.find, "/?#") if end >= 0]
    end = min(ends, default=len(rest))
    authority, path = rest[:end], rest[end:].partition("#")[0]
    if "@" in authority:  # RFC 9110 §4.2.4: user information in a URI is a way to deceive
        raise _rejected("bad_target", 400, "Bad Request")
    host, port = _authority(authority, default_port=80)
    if not path:
        path = "*" if request.method == "OPTIONS" else "/"
    elif path.startswith("?"):
        path = "/" + path

    old = request.version == "HTTP/1.0"
    options = connection_options(request.headers)
    headers = [("Host", authority)] + [
        (name, value) for name, value in end_to_end(request.headers) if name.lower() not in ("host", "content-length")
    ]
    if length == CHUNKED:
        headers.append(("Transfer-Encoding", "chunked"))
    elif length or any(name.lower() == "content-length" for name, _ in request.headers):
        headers.append(("Content-Length", str(length)))
    if via:
        headers.append(("Via", f"{request.version.removeprefix('HTTP/')} {via}"))
    upgrades = [value for name, value in request.headers if name.lower() == "upgrade"]
    upgrade = bool(upgrades) and "upgrade" in options and not old
    if upgrade:
        headers += [("Connection", "Upgrade"), ("Upgrade", ", ".join(upgrades))]
    head = write_head(f"{request.method} {path} HTTP/1.1", headers)
    keep = "close" not in options and (not old or "keep-alive" in options)
    return Forward(host, port, request.method, head, length, old, keep, upgrade)


def _challenge(*, close: bool) -> bytes:
    fields = 'Proxy-Authenticate: Basic realm="vpn", charset="UTF-8"\r\n'
    return response(407, "Proxy Authentication Required", fields, close=close)


def _rejected(reason: str, status: int, phrase: str) -> HTTPError:
    return HTTPError(reason, response(status, phrase, "", close=True))
