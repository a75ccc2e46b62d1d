"""Servers for clients to reach, each on a port of its own on loopback."""

from __future__ import annotations

import contextlib
import http.server
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def tcp_server(serve: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[int]:
    """Call `serve` in a thread with each connection, and close it then; yields the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    served: list[tuple[socket.socket, threading.Thread]] = []
    with socket.create_server((host, 0), family=family, backlog=512) as listener:

        def one(connection: socket.socket) -> None:
            with connection:
                try:
                    serve(connection)
                except OSError:
                    pass  # the client went away; tests look at what the client saw

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                server = threading.Thread(target=one, args=(connection,), daemon=True)
                served.append((connection, server))
                server.start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection, server in served:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                server.join(5)


def echo(connection: socket.socket) -> None:
    """Send back what comes."""
    while data := connection.recv(65536):
        connection.sendall(data)


def hold(connection: socket.socket) -> None:
    """Neither read nor write, until the connection is broken or the test is over."""
    poll = select.poll()
    poll.register(connection, 0)
    poll.poll()


def after_the_end(connection: socket.socket) -> None:
    """Read to the end of the stream, then answer with how much it was, and 1 MiB."""
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    connection.sendall(count.to_bytes(8, "big") + bytes(1024 * 1024))


def reset(connection: socket.socket) -> None:
    """Answer a few bytes, then reset the connection."""
    connection.recv(1)
    connection.sendall(b"partial")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Busy:
    """A listener whose queue is full: whoever connects waits, until the test calls `next`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.bind((host, port))
        self._listener.listen(0)
        self._listener.settimeout(20)
        self.port: int = self._listener.getsockname()[1]
        self._waiting = [socket.socket(family) for _ in range(4)]
        for stranger in self._waiting:
            stranger.setblocking(False)
            stranger.connect_ex((host, self.port))

    def next(self) -> socket.socket:
        """Make room, and accept the first who has something to say."""
        for stranger in self._waiting:
            stranger.close()
        while True:
            connection, _ = self._listener.accept()
            connection.settimeout(20)
            with contextlib.suppress(OSError):
                if connection.recv(1, socket.MSG_PEEK):
                    return connection
            connection.close()

    def close(self) -> None:
        """Let all go."""
        for sock in (*self._waiting, self._listener):
            sock.close()


@contextmanager
def busy_port(host: str = "127.0.0.1", port: int = 0) -> Iterator[Busy]:
    """A port that nobody answers on as yet."""
    busy = Busy(host, port)
    try:
        yield busy
    finally:
        busy.close()


@contextmanager
def web_server(host: str = "127.0.0.1") -> Iterator[int]:
    """An HTTP server whose every page says ``hello PATH``; yields the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = f"hello {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    with Server((host, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)


def unused_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def udp_echo(host: str = "127.0.0.1") -> Iterator[int]:
    """Sends every datagram back; those that say "twice" come from a second port too. Yields the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock, socket.socket(family, socket.SOCK_DGRAM) as stranger:
        sock.bind((host, 0))

        def serve() -> None:
            while True:
                data, client = sock.recvfrom(70_000)
                if data == b"stop":
                    return
                if data == b"twice":
                    stranger.sendto(b"injected", client)
                sock.sendto(data, client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            stranger.sendto(b"stop", sock.getsockname())
            thread.join(5)
