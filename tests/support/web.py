"""HTTP as raw clients and servers speak it in tests."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.plane import PASSWORD, Plane, read_exactly
from tests.support.servers import tcp_server


def basic(user: str = "alice", password: str = PASSWORD) -> bytes:
    """The header field with a user's credentials."""
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()) + b"\r\n"


def request(port: int, method: str = "GET", fields: bytes = b"", body: bytes = b"", path: str = "/") -> bytes:
    """A request for the proxy; a body has its length with it."""
    if body:
        fields += b"Content-Length: %d\r\n" % len(body)
    return f"{method} http://127.0.0.1:{port}{path} HTTP/1.1\r\n".encode() + basic() + fields + b"\r\n" + body


def response(body: bytes = b"", fields: bytes = b"", status: bytes = b"200 OK") -> bytes:
    """A server's answer."""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body)


def read_head(sock: socket.socket) -> bytes:
    """Everything up to the empty line, which is dropped. Nothing more is read.

    Raises:
        ConnectionAbortedError: the stream ended.
    """
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        if not (byte := sock.recv(1)):
            raise ConnectionAbortedError(f"the stream ended after {data!r}")
        data += byte
    return data[:-4]


def length_of(head: bytes) -> int:
    """What Content-Length says; 0 without one."""
    fields = [line.lower().partition(b":") for line in head.split(b"\r\n")[1:]]
    return next((int(value) for name, _, value in fields if name == b"content-length"), 0)


def read_message(sock: socket.socket) -> tuple[bytes, bytes]:
    """One message with a known length: its head and its body."""
    head = read_head(sock)
    return head, read_exactly(sock, length_of(head))


class Origin:
    """A web server that counts its connections, and keeps the requests it was sent."""

    def __init__(self, answer: Callable[[bytes, bytes], bytes]) -> None:
        self.port = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self.gone = threading.Semaphore(0)
        """Released when a client has closed a connection."""
        self._answer = answer

    def serve(self, connection: socket.socket) -> None:
        self.connections += 1
        try:
            while True:
                head, body = read_message(connection)
                self.heads.append(head)
                connection.sendall(self._answer(head, body))
        finally:
            self.gone.release()


@contextmanager
def origin(answer: Callable[[bytes, bytes], bytes] | None = None) -> Iterator[Origin]:
    """A web server; without `answer` it says the path, and the body that it was sent."""

    def echo(head: bytes, body: bytes) -> bytes:
        return response(head.split()[1] + b" " + body)

    server = Origin(answer or echo)
    with tcp_server(server.serve) as port:
        server.port = port
        yield server


@contextmanager
def standstill(plane: Plane) -> Iterator[None]:
    """The plane does nothing meanwhile; what happens is told it in one batch of events, in order."""
    entered, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: plane.do(lambda: (entered.set(), go_on.wait(5))))
    thread.start()
    assert entered.wait(5)
    try:
        yield
    finally:
        go_on.set()
        thread.join(5)
