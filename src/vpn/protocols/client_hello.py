"""The name that a client's TLS asks for, from the first bytes that it sends (RFC 8446 §4.1.2, RFC 6066 §3).

    record     HANDSHAKE VERSION LENGTH, and a part of the hello; mostly there is one
    hello      CLIENT_HELLO LENGTH VERSION RANDOM SESSION SUITES COMPRESSION EXTENSIONS
    extension  KIND LENGTH, and for server_name a list of KIND LENGTH NAME

Only looked at, never answered: what is not understood has no name. Where the hello is encrypted to the server (ECH),
this is the public name on the outside.
"""

from __future__ import annotations

import re
from struct import Struct

HANDSHAKE = 0x16
"""The first byte of everybody who begins with TLS."""
HELLO_LIMIT = 4096
"""Bytes in which the name has to come; usual hellos have 300 to 2000."""
_MAJOR = 3  # of all versions from SSL 3.0 to TLS 1.3
_BEGINNING = bytes((HANDSHAKE, _MAJOR))
_CLIENT_HELLO = 1
_MOST_RECORDS = 16
_LARGEST = 1 << 14  # bytes of a record
_RECORD = Struct("!BBBH")
_EXTENSION = Struct("!HH")
_SERVER_NAME = 0
_HOST_NAME = 0
_RECORD_HEADER = 5  # bytes
_HEADER = _RECORD_HEADER + 4  # bytes, with the hello's own
_FIXED = 2 + 32  # bytes of version and random
_NAME = re.compile(rb"[A-Za-z0-9._-]{1,255}")


def server_name(data: bytes) -> str | None:
    """The name that is asked for, in lower case; empty: there is none; None: more bytes are needed to tell."""
    if len(data) >= _HEADER and data.startswith(_BEGINNING) and data[5] == _CLIENT_HELLO:
        end = _RECORD_HEADER + (data[3] << 8 | data[4])
        if end == _HEADER + (data[6] << 16 | data[7] << 8 | data[8]):  # in one record, as nearly always
            name = _find(data, _HEADER, min(end, len(data)))
            return "" if name is None and len(data) >= end else name
    message, size = _unpacked(data)
    if size < 0:
        return ""
    name = _find(message, 4, min(4 + size, len(message)))
    return "" if name is None and len(message) >= 4 + size else name


def _unpacked(data: bytes) -> tuple[bytes, int]:
    """What there is of the message, and how long the hello in it is, as far as that is known; -1: it is none."""
    message = b""
    position = 0
    if data[:2] != _BEGINNING[: len(data)]:
        return b"", -1
    for _ in range(_MOST_RECORDS):
        if len(message) >= 4 and len(message) - 4 >= int.from_bytes(message[1:4]):
            break
        if position + _RECORD_HEADER > len(data):  # there is more to come
            return message, int.from_bytes(message[1:4]) if len(message) >= 4 else _LARGEST
        kind, major, _, length = _RECORD.unpack_from(data, position)
        if kind != HANDSHAKE or major != _MAJOR or not 0 < length <= _LARGEST:
            break
        position += _RECORD_HEADER
        message += data[position : position + length]
        position += length
        if message and message[0] != _CLIENT_HELLO:
            return b"", -1
    # It is whole, or goes on in a way that is none of TLS.
    return message, min(int.from_bytes(message[1:4]), len(message) - 4)


def _find(data: bytes, position: int, end: int) -> str | None:
    """The name in a hello that lies there in the data, as far as it has come; None: there is none so far."""
    position += _FIXED
    if position >= end:
        return None
    position += 1 + data[position]  # the session
    if position + 2 > end:
        return None
    position += 2 + (data[position] << 8 | data[position + 1])  # the suites
    if position >= end:
        return None
    position += 1 + data[position] + 2  # compression, and how long the extensions are: they are the rest
    while position + _EXTENSION.size <= end:
        kind, length = _EXTENSION.unpack_from(data, position)
        position += _EXTENSION.size
        if kind == _SERVER_NAME:
            return _host(data[position : position + length]) if position + length <= end else None
        position += length
    return None


def _host(names: bytes) -> str:
    """The first host's name of the extension's list; empty: there is none that could be one."""
    position = 2
    while position + 3 <= len(names):
        kind, length = names[position], int.from_bytes(names[position + 1 : position + 3])
        position += 3
        if kind == _HOST_NAME:
            name = names[position : position + length]
            well = len(name) == length and _NAME.fullmatch(name)
            return name.decode().lower().removesuffix(".") if well else ""
        position += length
    return ""
