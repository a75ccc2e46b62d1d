"""HTTP/1.1 messages on their way through a proxy: heads, and bodies however they are framed (RFC 9112).

    request_body(reader, length)          what follows a request's head
    response(reader, request, via)        a whole response, 1xx ones before it included

Both are generators that yield bytes for the other side, or None for "feed me".
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import NamedTuple

from vpn.protocols.events import CHUNKED, UNTIL_END, Forward
from vpn.protocols.reader import LimitExceeded, Reader

HEAD_LIMIT = 64 * 1024
CHUNK_LINE_LIMIT = 1024
TRAILER_LIMIT = 16 * 1024
PIECE = 64 * 1024  # bytes of body that are passed on at a time
MOST_INTERIM = 20  # 1xx responses before the real one

Headers = list[tuple[str, str]]
Relayed = Generator[bytes | None, None, None]

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = frozenset(b"0123456789abcdefABCDEF")
# RFC 9110 §7.6.1: what concerns one connection only.
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "transfer-encoding", "upgrade"})


class MessageError(Exception):
    """This is not HTTP/1.1, or not within its bounds."""


class Ending(NamedTuple):
    """How things are after a response."""

    keep_client: bool
    keep_origin: bool
    upgraded: bool


def read_lines(reader: Reader, limit: int) -> Generator[None, None, list[bytes]]:
    """The lines up to the empty one.

    Raises:
        LimitExceeded: they are longer than `limit` bytes.
    """
    lines: list[bytes] = []
    while line := (yield from reader.until(b"\r\n", limit)):
        lines.append(line)
        limit -= len(line) + 2
    return lines


def parse_fields(lines: Iterable[bytes]) -> Headers:
    """Header fields in order, names as they were written.

    Raises:
        MessageError: a line is none.
    """
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not TOKEN.issuperset(name) or b"\0" in value or b"\r" in value or b"\n" in value:
            raise MessageError("bad_header")
        headers.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
    return headers


def connection_options(headers: Headers) -> set[str]:
    """What Connection (and Proxy-Connection, as old clients call it) lists."""
    listed = [value for name, value in headers if name.lower() in ("connection", "proxy-connection")]
    return {option.strip().lower() for value in listed for option in value.split(",")}


def end_to_end(headers: Headers) -> Headers:
    """The fields that are not for us alone."""
    listed = connection_options(headers)
    return [
        (name, value)
        for name, value in headers
        if (lower := name.lower()) not in _HOP_BY_HOP and lower not in listed and not lower.startswith("proxy-")
    ]


def content_length(headers: Headers) -> int | None:
    """What Content-Length says; None if it is not there.

    Raises:
        MessageError: it is no number, or says several.
    """
    values = {part.strip() for name, value in headers if name.lower() == "content-length" for part in value.split(",")}
    if not values:
        return None
    value = values.pop()
    if values or not value.isascii() or not value.isdigit() or len(value) > 18:
        raise MessageError("bad_content_length")
    return int(value)


def write_head(start: str, headers: Headers) -> bytes:
    """A message's head."""
    lines = [start, *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request_body(reader: Reader, length: int) -> Relayed:
    """Pass on what follows a request's head.

    Raises:
        MessageError: it is not framed as it should be.
    """
    return _body(reader, length, unpack=False)


def response(reader: Reader, request: Forward, via: str) -> Generator[bytes | None, None, Ending]:
    """Pass on the response to a request.

    Raises:
        MessageError: it is none.
    """
    for _ in range(MOST_INTERIM):
        status, version, start, headers = yield from _head(reader)
        upgraded = status == 101
        if upgraded or status >= 200:
            break
        if not request.old:  # HTTP/1.0 knows no interim responses
            yield write_head(start, end_to_end(headers))
    else:
        raise MessageError("too_many_interim_responses")
    if upgraded and not request.upgrade:  # the client's next request would go to this destination whole
        raise MessageError("unexpected_upgrade")

    passed_on = end_to_end(headers)
    if via:
        passed_on.append(("Via", f"{version.removeprefix('HTTP/')} {via}"))
    if upgraded:
        passed_on += [
            ("Connection", "Upgrade"),
            *((name, value) for name, value in headers if name.lower() == "upgrade"),
        ]
        yield write_head(start, passed_on)
        return Ending(keep_client=False, keep_origin=False, upgraded=True)

    length = _response_length(request.method, status, headers)
    unpack = length == CHUNKED and request.old
    keep_client = request.keep and length != UNTIL_END and not unpack
    # Once, and as we read it (RFC 9110 §8.6), whatever Connection lists: the client must see the same end as we.
    passed_on = [(name, value) for name, value in passed_on if name.lower() != "content-length"]
    if length == CHUNKED and not unpack:
        passed_on.append(("Transfer-Encoding", "chunked"))
    elif length != CHUNKED and (told := content_length(headers)) is not None:
        passed_on.append(("Content-Length", str(told)))
    passed_on.append(("Connection", "keep-alive" if keep_client else "close"))
    yield write_head(start, passed_on)
    yield from _body(reader, length, unpack=unpack)
    options = connection_options(headers)
    keep_origin = version == "HTTP/1.1" and "close" not in options and length != UNTIL_END
    return Ending(keep_client, keep_origin, upgraded=False)


def _head(reader: Reader) -> Generator[None, None, tuple[int, str, str, Headers]]:
    try:
        lines = yield from read_lines(reader, HEAD_LIMIT)
    except LimitExceeded:
        raise MessageError("head_too_large") from None
    if not lines:
        raise MessageError("bad_status_line")
    version, _, rest = lines[0].decode("latin-1").partition(" ")
    code = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit()) or rest[3:4] not in ("", " "):
        raise MessageError("bad_status_line")
    if any(ord(character) < 0x20 and character != "\t" for character in rest) or int(code) < 100:
        raise MessageError("bad_status_line")
    return int(code), version, f"HTTP/1.1 {rest}", parse_fields(lines[1:])


def _response_length(method: str, status: int, headers: Headers) -> int:
    """RFC 9112 §6.3."""
    length = content_length(headers)
    if method == "HEAD" or status in (204, 304):
        return 0
    codings = [value.strip().lower() for name, value in headers if name.lower() == "transfer-encoding"]
    if codings:
        if codings == ["chunked"]:
            return CHUNKED
        raise MessageError("unknown_coding")
    return UNTIL_END if length is None else length


def _body(reader: Reader, length: int, *, unpack: bool) -> Relayed:
    if length == CHUNKED:
        yield from _chunks(reader, unpack=unpack)
    elif length == UNTIL_END:
        while data := (yield from reader.some(PIECE)):
            yield data
    else:
        yield from _counted(reader, length)


def _counted(reader: Reader, length: int) -> Relayed:
    while length:
        data = yield from reader.some(min(length, PIECE))
        if not data:
            raise MessageError("truncated")
        length -= len(data)
        yield data


def _chunks(reader: Reader, *, unpack: bool) -> Relayed:
    """RFC 9112 §7.1; chunk extensions are dropped."""
    try:
        while size := (yield from _chunk_size(reader)):
            if not unpack:
                yield b"%x\r\n" % size
            yield from _counted(reader, size)
            if (yield from reader.exactly(2)) != b"\r\n":
                raise MessageError("bad_chunk")
            if not unpack:
                yield b"\r\n"
        trailers = yield from read_lines(reader, TRAILER_LIMIT)
    except LimitExceeded:
        raise MessageError("bad_chunk") from None
    if not unpack:
        yield write_head("0", parse_fields(trailers))


def _chunk_size(reader: Reader) -> Generator[None, None, int]:
    line = yield from reader.until(b"\r\n", CHUNK_LINE_LIMIT)
    digits = line.partition(b";")[0].strip(b" \t")
    if not 0 < len(digits) <= 15 or not _HEX.issuperset(digits):
        raise MessageError("bad_chunk")
    return int(digits, 16)
