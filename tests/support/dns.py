"""A name server that answers what a test tells it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

A, AAAA = 1, 28


class NameServer:
    """Records by name; a name that has none does not exist. Counts the questions."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.port: int = sock.getsockname()[1]
        self.records: dict[str, list[str]] = {}
        self.ttl = 60
        self.silent = False
        self.may_answer = threading.Event()
        """While it is not set, answers wait."""
        self.may_answer.set()
        self.asked: list[tuple[str, int]] = []

    def serve(self) -> None:
        while True:
            query, client = self._sock.recvfrom(4096)
            if not query:
                return
            name, kind, question = _question(query)
            self.asked.append((name, kind))
            self.may_answer.wait(10)
            if not self.silent:
                self._sock.sendto(self._answer(query[:2], name, kind, question), client)

    def _answer(self, number: bytes, name: str, kind: int, question: bytes) -> bytes:
        known = self.records.get(name)
        families = {A: socket.AF_INET, AAAA: socket.AF_INET6}
        found = [
            socket.inet_pton(families[kind], address) for address in known or [] if (":" in address) == (kind == AAAA)
        ]
        flags = 0x8180 if known is not None else 0x8183  # NXDOMAIN
        header = number + struct.pack("!5H", flags, 1, len(found), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(packed)) + packed for packed in found
        )
        return header + question + records


def _question(query: bytes) -> tuple[str, int, bytes]:
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode())
        at += size + 1
    kind = int.from_bytes(query[at + 1 : at + 3], "big")
    return ".".join(labels).lower(), kind, query[12 : at + 5]


@contextmanager
def name_server() -> Iterator[NameServer]:
    """A running name server on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        server = NameServer(sock)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
                stop.sendto(b"", sock.getsockname())
            thread.join(5)
