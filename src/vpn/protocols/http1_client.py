"""HTTP/1.1's CONNECT (RFC 9110 §9.3.6) as a client of an upstream proxy, with Basic credentials (RFC 7617).

us                                         upstream
CONNECT host:port HTTP/1.1         ──►
                                   ◄──     1xx, any number of them
                                   ◄──     2xx and the tunnel, or anything else and the end
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator

from vpn.domain import address
from vpn.protocols.errors import UpstreamError
from vpn.protocols.events import Refusal, Send
from vpn.protocols.reader import LimitExceeded, Reader

HEAD_LIMIT = 32 * 1024  # bytes of all response heads together

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: .*)?\r?", re.DOTALL)
# What may stand in a request line and cannot be read as anything but a host (RFC 3986's unreserved characters).
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,255}")
_REFUSALS = {403: Refusal.NOT_ALLOWED, 504: Refusal.TIMED_OUT}


def connect(reader: Reader, host: str, port: int, user: str, password: str) -> Generator[Send | None, None, None]:
    """Ask for a connection. What the destination says first stays in the reader.

    Args:
        user: empty if there are no credentials; without a colon, which Basic credentials have no way to write.

    Raises:
        UpstreamError: it was refused, credentials are wanted, or the response is none.
    """
    authority = f"{_host(host)}:{port}"
    fields = f"Host: {authority}\r\n"
    if user:
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        fields += f"Proxy-Authorization: Basic {credentials}\r\n"
    yield Send(f"CONNECT {authority} HTTP/1.1\r\n{fields}\r\n".encode("ascii"))

    try:
        status = yield from _final_status(reader)
    except LimitExceeded:
        raise UpstreamError("upstream_bad_reply") from None
    if status == 407:
        raise UpstreamError("upstream_authentication_failed")
    if status // 100 != 2:
        raise UpstreamError("upstream_refused", _REFUSALS.get(status, Refusal.FAILED))


def _host(host: str) -> str:
    """The host as an authority has it; a client's name must not become a second field or another host."""
    packed = address.pack(host.partition("%")[0])
    if packed is not None:
        text = address.unpack(packed)
        return f"[{text}]" if len(packed) == 16 else text
    written = host if host.isascii() else _punycode(host)
    if not _NAME.fullmatch(written):
        raise UpstreamError("upstream_bad_name", Refusal.NAME_NOT_FOUND)
    return written


def _punycode(name: str) -> str:
    """A name with letters beyond ASCII, as the DNS has it (RFC 3490); empty if that is another name.

    Some characters turn into others on the way, such as full-width letters and dots: what was allowed is not
    what would be connected to.
    """
    try:
        written = name.encode("idna")
        return written.decode("ascii") if written.decode("idna") == name.lower() else ""
    except UnicodeError:
        return ""


def _final_status(reader: Reader) -> Generator[None, None, int]:
    """Read response heads until one is not interim, and its status.

    Lines may end in a bare LF (RFC 9112 §2.2). A 2xx to CONNECT has no content, whatever its fields say.

    Raises:
        LimitExceeded: they are longer than anybody needs.
    """
    left = HEAD_LIMIT
    while True:
        line = yield from reader.until(b"\n", left)
        left -= len(line) + 1
        match = _STATUS_LINE.fullmatch(line)
        if match is None or match[1] == b"101":  # nobody asked for another protocol
            raise UpstreamError("upstream_bad_reply")
        while line not in (b"", b"\r"):
            line = yield from reader.until(b"\n", left)
            left -= len(line) + 1
        if match[1][:1] != b"1":
            return int(match[1])
