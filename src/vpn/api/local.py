"""Requests to the daemon on this machine, over its Unix socket.

The exchange is HTTP/1.0 written out by hand: one request, one answer that ends with the connection. An HTTP
library would do it too, but importing one takes as long as all the rest of a command together.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from pathlib import Path

from vpn.api.client import MOST_SILENT, TIMEOUT, Stream, Transport, Unreachable

_LONGEST_PATH = 107  # bytes of a Unix socket's path, on Linux


def over_unix(path: Path, timeout: float = TIMEOUT) -> Transport:
    """Requests over the Unix socket of a daemon on this machine.

    The transport raises FileNotFoundError or ConnectionRefusedError where no daemon listens.
    """

    def transport(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        with _connected(path, timeout) as sock:
            try:
                return _exchange(sock, method, target, body)
            except (OSError, ValueError) as error:
                raise _broke_off(path, error) from None

    return transport


def stream_unix(path: Path) -> Stream:
    """Streams over the Unix socket of a daemon on this machine; raises what `over_unix` does."""

    def stream(method: str, target: str) -> tuple[int, Generator[bytes, None, None]]:
        sock = _connected(path, MOST_SILENT)
        try:
            _ask(sock, method, target, b"")
            received = b""
            while b"\r\n\r\n" not in received and (piece := sock.recv(65536)):
                received += piece
            status, _, first = _split(received)
        except (OSError, ValueError) as error:
            sock.close()
            raise _broke_off(path, error) from None
        return status, _follow(sock, path, first)

    return stream


def _follow(sock: socket.socket, path: Path, first: bytes) -> Generator[bytes, None, None]:
    with sock:
        yield first
        try:
            while piece := sock.recv(65536):
                yield piece
        except OSError as error:
            raise _broke_off(path, error) from None


def _connected(path: Path, timeout: float) -> socket.socket:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise FileNotFoundError(path)  # no daemon can listen there
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def _broke_off(path: Path, error: Exception) -> Unreachable:
    return Unreachable(f"the daemon at {path} broke off: {error}", "its log may say why; try again")


def _exchange(sock: socket.socket, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    _ask(sock, method, target, body)
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    status, head, content = _split(b"".join(pieces))
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length" and int(value) != len(content):
            raise ValueError("the answer was cut short")
    return status, content


def _ask(sock: socket.socket, method: str, target: str, body: bytes) -> None:
    fields = f"Host: local\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    sock.sendall(f"{method} {target} HTTP/1.0\r\n{fields}\r\n".encode("ascii") + body)


def _split(answer: bytes) -> tuple[int, bytes, bytes]:
    """Status, head, and what there is of the body."""
    head, blank, content = answer.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not blank or not version.startswith(b"HTTP/1."):
        raise ValueError("the answer is not HTTP, or was cut short")
    return int(rest[:3]), head, content
