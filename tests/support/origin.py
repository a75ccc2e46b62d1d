"""An HTTP server that answers what a test tells it, and writes down what it was asked."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from tests.support.servers import tcp_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answer = Callable[["Request"], None]


class Request:
    """A request's head, and the connection that it came by."""

    def __init__(self, connection: socket.socket, number: int, head: bytes, file: BinaryIO) -> None:
        self.connection = connection
        self.read = file.read
        self.number = number
        self.start, *self.fields = head[:-4].split(b"\r\n")

    def field(self, name: bytes) -> bytes | None:
        """A field's value."""
        found = [value for key, _, value in (field.partition(b": ") for field in self.fields) if key.lower() == name]
        assert len(found) < 2, self.fields
        return found[0] if found else None


class Origin:
    """What was asked of it."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """A URL of it."""
        return f"http://{host}:{self.port}{path}"

    def get(self, path: str = "/", fields: bytes = b"", method: str = "GET", version: str = "1.1") -> bytes:
        """A request for it, to be sent to the proxy."""
        host = f"127.0.0.1:{self.port}"
        return f"{method} {self.url(path)} HTTP/{version}\r\nHost: {host}\r\n".encode() + fields + b"\r\n"


@contextmanager
def origin(answer: bytes | Answer = OK, host: str = "127.0.0.1") -> Iterator[Origin]:
    """A running one. `answer` is called with each request, whose body it has to `read`, if there is one."""
    this = Origin()

    def serve(connection: socket.socket) -> None:
        this.connections += 1
        number = this.connections
        file = connection.makefile("rb")
        with file:
            head = b""
            while line := file.readline():
                head += line
                if line == b"\r\n":
                    request = Request(connection, number, head, file)
                    this.requests.append(request)
                    head = b""
                    if callable(answer):
                        answer(request)
                    else:
                        connection.sendall(answer)

    with tcp_server(serve, host) as port:
        this.port = port
        yield this
