"""Writes small MaxMind DB files (https://maxmind.github.io/MaxMind-DB/): records of 24 bits, one per network."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_METADATA = b"\xab\xcd\xefMaxMind.com"
_EMPTY = -1
_UINT16, _UINT32, _UINT64 = b"\xa2", b"\xc4", b"\x08\x02"  # with all their bytes
_NO_ARRAY = b"\x00\x04"


def write_mmdb(path: Path, records: Mapping[str, Any], version: int = 6) -> Path:
    """A file that has a record for each of these networks; IPv4 ones lie below ::/96, as the format wants it."""
    nodes: list[list[int]] = [[_EMPTY, _EMPTY]]
    data = b""
    for network, record in records.items():
        offset = len(data)
        data += _encoded(record)
        _put(nodes, _bits(network, version), -2 - offset)
    tree = b"".join(_pointer(side, len(nodes)) for node in nodes for side in node)
    about = {
        "node_count": _UINT32 + len(nodes).to_bytes(4, "big"),
        "record_size": _UINT16 + b"\0\x18",
        "ip_version": _UINT16 + bytes([0, version]),
        "database_type": "Test-Country",
        "binary_format_major_version": _UINT16 + b"\0\2",
        "binary_format_minor_version": _UINT16 + b"\0\0",
        "build_epoch": _UINT64 + (1).to_bytes(8, "big"),
        "languages": _NO_ARRAY,
        "description": {},
    }
    path.write_bytes(tree + bytes(16) + data + _METADATA + _encoded(about))
    return path


def _bits(text: str, version: int) -> str:
    network = ipaddress.ip_network(text)
    size = 128 if network.version == 6 else 32
    bits = format(int(network.network_address), f"0{size}b")[: network.prefixlen]
    return "0" * 96 + bits if version == 6 and network.version == 4 else bits


def _put(nodes: list[list[int]], bits: str, leaf: int) -> None:
    node = 0
    for bit in map(int, bits[:-1]):
        if nodes[node][bit] == _EMPTY:
            nodes[node][bit] = len(nodes)
            nodes.append([_EMPTY, _EMPTY])
        node = nodes[node][bit]
    nodes[node][int(bits[-1])] = leaf


def _pointer(side: int, count: int) -> bytes:
    """Another node, nothing (the number of nodes), or a place in the data."""
    value = side if side >= 0 else count if side == _EMPTY else count + 16 + (-2 - side)
    return value.to_bytes(3, "big")


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        return bytes([2 << 5 | len(value)]) + value.encode()  # up to 28 bytes, which is enough here
    if isinstance(value, bytes):
        return value
    return bytes([7 << 5 | len(value)]) + b"".join(_encoded(key) + _encoded(each) for key, each in value.items())
