"""Requests to the daemon on this machine, over its Unix socket.

The exchange is HTTP/1.0 written out by hand: one request, one answer that ends with the connection. An HTTP
library would do it too, but importing one takes as long as all the rest of a command together.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from vpn.api.client import TIMEOUT, Transport, Unreachable

_LONGEST_PATH = 107  # bytes of a Unix socket's path, on Linux


def over_unix(path: Path, timeout: float = TIMEOUT) -> Transport:
    """Requests over the Unix socket of a daemon on this machine.

    The transport raises FileNotFoundError or ConnectionRefusedError where no daemon listens.
    """

    def transport(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        if len(os.fsencode(path)) > _LONGEST_PATH:
            raise FileNotFoundError(path)  # no daemon can listen there
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(str(path))
            try:
                return _exchange(sock, method, target, body)
            except (OSError, ValueError) as error:
                hint = "its log may say why; try again"
                raise Unreachable(f"the daemon at {path} broke off: {error}", hint) from None

    return transport


def _exchange(sock: socket.socket, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    fields = f"Host: local\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    sock.sendall(f"{method} {target} HTTP/1.0\r\n{fields}\r\n".encode("ascii") + body)
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    head, blank, content = b"".join(pieces).partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not blank or not version.startswith(b"HTTP/1."):
        raise ValueError("the answer is not HTTP, or was cut short")
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length" and int(value) != len(content):
            raise ValueError("the answer was cut short")
    return int(rest[:3]), content
