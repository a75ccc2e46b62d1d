"""What is fuzzed: one row for each way into each parser. A new parser is a row here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from functools import partial
from typing import NamedTuple

from fuzz.driving import Parse, hold_to_promises
from vpn.domain.address import pack
from vpn.domain.errors import Invalid
from vpn.domain.shadowsocks import METHODS
from vpn.links import schemes
from vpn.protocols import (
    client_hello,
    datagram,
    http1,
    http1_client,
    http1_message,
    proxy_protocol,
    shadowsocks,
    shadowsocks_chunks,
    shadowsocks_header,
    shadowsocks_packet,
    socks4,
    socks5,
    socks5_client,
    socks_address,
)
from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import CHUNKED, Forward
from vpn.protocols.http1_message import MessageError
from vpn.protocols.reader import Reader


class Target(NamedTuple):
    """Something to fuzz: what is called with the bytes, and examples to begin with."""

    call: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _conversation(parse: Parse, limit: int, *seeds: bytes) -> Target:
    """A parser that never buffers more than `limit` bytes. The zero before a seed has all questions answered well."""
    return Target(partial(hold_to_promises, parse, limit), tuple(b"\0" + seed for seed in seeds))


def _unpack(raw: bytes) -> None:
    """A header that is understood is what we would have written, and the kind of buffer does not matter."""
    try:
        read = datagram.unpack(raw)
    except ProtocolError:
        return
    assert read == datagram.unpack(memoryview(raw))
    assert read.payload <= len(raw)
    if pack(read.host) is None or raw[3] != 3:
        assert datagram.header(read.host, read.port) == raw[: read.payload]


def _look(raw: bytes) -> None:
    """Nothing escapes, and what was said of a beginning still holds when more has come."""
    said: str | None = None
    for end in range(len(raw) + 1):
        now = client_hello.server_name(raw[:end])
        assert said is None or now == said, f"it changes its mind: {said!r}, {now!r}"
        said = now


def _hello(*pieces: int) -> bytes:
    """A hello that asks for a.test, in records of so many bytes, and the rest."""
    name = b"a.test"
    asked = b"\0" + len(name).to_bytes(2) + name
    listed = len(asked).to_bytes(2) + asked
    extensions = b"\0\x2b\0\x03\x02\x03\x04" + b"\0\0" + len(listed).to_bytes(2) + listed
    hello = b"\3\3" + bytes(32) + b"\x01x" + b"\0\x02\x13\x01" + b"\x01\0" + len(extensions).to_bytes(2) + extensions
    message = b"\x01" + len(hello).to_bytes(3) + hello
    made, at = b"", 0
    for size in (*pieces, len(message) - sum(pieces)):
        made += b"\x16\x03\x01" + size.to_bytes(2) + message[at : at + size]
        at += size
    return made


def _pass_on(make: Callable[[Reader], Generator[bytes | None, None, object]], raw: bytes) -> None:
    """Only `MessageError` escapes, and it does not matter how the bytes were cut up on the way."""
    size = raw[0] % 13 + 1 if raw else 1
    stream = raw[1:]
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    whole, cut = _passed(make, [stream]), _passed(make, pieces)
    assert whole == cut, f"it matters how the bytes are cut up:\n{whole}\n{cut}"


def _passed(make: Callable[[Reader], Generator[bytes | None, None, object]], pieces: list[bytes]) -> object:
    reader, passed, waiting = Reader(), b"", iter(pieces)
    parser = make(reader)
    try:
        while True:
            step = next(parser)
            if step is None and reader.ended:
                return passed, "truncated"
            piece = next(waiting, b"") if step is None else b""
            passed += step or b""
            reader.feed(piece)
            reader.ended = step is None and not piece
    except StopIteration as stop:
        return passed, stop.value, reader.rest() + b"".join(waiting)
    except MessageError as error:
        return passed, str(error)


def _open(raw: bytes) -> None:
    """A stream that is sealed with the wrong key has no chunk; what is too short has none yet."""
    for method in METHODS.values():
        opener = shadowsocks_chunks.Opener(method, bytes(method.key_size))
        try:
            taken, put = opener.open_into(memoryview(raw), memoryview(bytearray(len(raw))))
        except ProtocolError:
            continue
        assert put < max(taken, 1) <= max(len(raw), 1)


def _begin(raw: bytes) -> None:
    """It is nobody's stream; and what it wants is understood in one way, or not at all."""
    for method in METHODS.values():
        if len(raw) >= shadowsocks_header.needed(method):
            assert shadowsocks_header.begin(method, bytes(method.key_size), raw, 0.0) is None
    try:
        wanted = shadowsocks_header.without_padding(raw) if raw else b""
    except ProtocolError:
        return
    assert len(wanted) <= max(0, len(raw) - 2)


def _packet(raw: bytes) -> None:
    """It is nobody's datagram; and what one holds is understood in one way, or not at all."""
    for method in METHODS.values():
        key = bytes(method.key_size)
        if method.identified:
            try:
                header, _ = shadowsocks_packet.Headings(key).read(raw)
            except ProtocolError:
                continue
            cipher = shadowsocks_packet.session_cipher(method, key, header[:8])
            assert shadowsocks_packet.open_headed(cipher, header, raw) is None
        elif method.edition == 1:
            assert shadowsocks_packet.open_salted(method, key, raw) is None
        else:
            assert shadowsocks_packet.open_nonced(method, key, raw) is None
    try:
        _, start = shadowsocks_packet.read_body(raw)
        host, port, end = socks_address.unpack(raw, start)
    except ProtocolError:
        return
    assert start < end <= len(raw)
    if pack(host) is None or raw[start] != socks_address.NAME:
        assert socks_address.pack(host, port) == raw[start:end]


_REQUEST = Forward("example.com", 80, "GET", b"", 0, old=False, keep=True, upgrade=True)
_CHUNKS = b"3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n"
_LOGIN = b"\x05\x01\x02\x01\x05alice\x06s3cret"
_TO_V6 = b"\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x01\xbb"
_SOCKS5_REQUESTS = tuple(
    b"\x05" + command + b"\x00" + destination
    for command in (b"\x01", b"\x02", b"\x03")
    for destination in (b"\x01\xc0\x00\x02\x01\x00\x50", b"\x03\x0bexample.com\x01\xbb", _TO_V6)
)
_SOCKS4 = (b"\x04\x01\x00\x50\xc0\x00\x02\x01alice\x00", b"\x04\x02\x01\xbb\x00\x00\x00\x01alice\x00example.com\x00")
_HTTP = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n"
_V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21"


def _link(raw: bytes) -> None:
    """A link that is read is one that can be written, and is the same then."""
    try:
        read = schemes.parse(raw.decode(errors="surrogateescape"))
    except Invalid:
        return
    assert schemes.parse(schemes.build(read)) == read


_LINKS = (
    b"ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888/?plugin=a%3Bb#n",
    b"ss://YWVzLTEyOC1nY206YTpiQGM_PkBoOjE#n",
    b"ss://2022-blake3-aes-128-gcm:AQEBAQEBAQEBAQEBAQEBAQ%3D%3D@[::1]:1",
    b"vless://2cae91b3-f85c-433b-88ee-a002b9ed6d61@h:1?type=ws&security=tls&path=%2F&alpn=h2%2Ch3#n",
    b"trojan://x@h:1?type=grpc&serviceName=s&mode=gun",
    b"vmess://eyJhZGQiOiJoIiwicG9ydCI6MSwiaWQiOiIyY2FlOTFiMy1mODVjLTQzM2ItODhlZS1hMDAyYjllZDZkNjEifQ",
    b"ssconf://h/p?q=1#n",
    b"socks://YTpi@h:1",
    b"[Interface]\nPrivateKey=x\n[Peer]\nEndpoint=h:1\n",
)

TARGETS: dict[str, Target] = {
    "links": Target(_link, _LINKS),
    "socks5": _conversation(socks5.parse, 257, *(_LOGIN + request for request in _SOCKS5_REQUESTS)),
    "socks5_admitted": _conversation(
        partial(socks5.parse, admitted=True),
        257,
        *(b"\x05\x01\x00" + request for request in _SOCKS5_REQUESTS),
        b"\x05\x01\x02\x01\x00\x00" + _SOCKS5_REQUESTS[0],
    ),
    "socks4": _conversation(socks4.parse, 256, *_SOCKS4),
    "socks4_admitted": _conversation(partial(socks4.parse, admitted=True), 256, *_SOCKS4),
    "http1": _conversation(
        http1.parse,
        http1.HEAD_LIMIT,
        _HTTP + b"Proxy-Authorization: Basic YWxpY2U6czNjcmV0\r\n\r\nearly",
        _HTTP + b"\r\n" + _HTTP + b"Proxy-Authorization: Basic YWxpY2U6czNjcmV0\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nno",
    ),
    "http1_admitted": _conversation(
        partial(http1.parse, admitted=True),
        http1.HEAD_LIMIT,
        b"POST http://example.com:81/a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nno",
        b"OPTIONS http://[2001:db8::1] HTTP/1.0\r\nConnection: keep-alive, X\r\nX: y\r\n\r\n",
        b"GET http://x HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: z\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "http1_message_response": Target(
        partial(_pass_on, lambda reader: http1_message.response(reader, _REQUEST, "gate")),
        (
            b"\0HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nyes",
            b"\0HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKS,
            b"\0HTTP/1.0 200 OK\r\n\r\nabc",
            b"\0HTTP/1.1 101 Switching Protocols\r\nUpgrade: z\r\n\r\nabc",
        ),
    ),
    "http1_message_body": Target(
        partial(_pass_on, lambda reader: http1_message.request_body(reader, CHUNKED)), (b"\0" + _CHUNKS + b"GET",)
    ),
    "proxy_protocol": _conversation(
        proxy_protocol.parse,
        proxy_protocol.BLOCK_LIMIT,
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080\r\n\x05",
        b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 1080\r\n\x05",
        b"PROXY UNKNOWN\r\n",
        _V2 + b"\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\xdc\x04\x04\x38\x05",
        _V2 + b"\x21\x00\x27" + bytes(39),
        _V2 + b"\x31\x00\xd8" + bytes(216),
    ),
    "shadowsocks": _conversation(
        partial(shadowsocks.parse, admitted=True), 257, *(request[3:] for request in _SOCKS5_REQUESTS[:3])
    ),
    "shadowsocks_header": Target(
        _begin, (bytes(100), _TO_V6 + b"\0\1xy", b"\3\1x\0\x50\0\3abc", b"\1\xc0\0\2\1\0\x50\0\0hello")
    ),
    "shadowsocks_chunks": Target(_open, (bytes(18), bytes(200))),
    "shadowsocks_packet": Target(
        _packet,
        (bytes(100), bytes(11) + _TO_V6 + b"data", bytes(10) + b"\2\0\0\3\1x\0\x50", bytes(11) + b"\1\xc0\0\2\1\0\x50"),
    ),
    "client_hello": Target(
        _look, (_hello(), _hello(1, 2), _hello(60) + b"\x17\x03\x03\0\x01x", _hello(60)[:90] + b"GET")
    ),
    "datagram": Target(
        _unpack,
        (b"\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35hello", b"\x00\x00\x00\x03\x01x\x00\x35", b"\x00\x00\x00" + _TO_V6),
    ),
    "socks5_client_greet": _conversation(
        partial(socks5_client.greet, user="alice", password="s3cret"), 257, b"\x05\x00", b"\x05\x02\x01\x00"
    ),
    "socks5_client_connect": _conversation(
        partial(socks5_client.connect, host="example.com", port=443),
        257,
        b"\x05\x00\x00\x01\xc0\x00\x02\x07\x9c\x40hello",
        b"\x05\x00\x00\x03\x0bexample.com\x01\xbb",
        b"\x05\x00\x00" + _TO_V6,
    ),
    "http1_client": _conversation(
        partial(http1_client.connect, host="example.com", port=443, user="alice", password="s3cret"),
        http1_client.HEAD_LIMIT,
        b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 407 No\r\n\r\n",
    ),
}
