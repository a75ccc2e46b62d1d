"""Many short connections through a proxy, in a process of their own, that count what they do.

``python -m tests.support.crowd PORT ECHO COUNT`` makes COUNT connections by way of the proxy at PORT to an echo
server on all of 127/8 at ECHO, and prints what came of them as JSON. Most are tunnels that send something and get it
back; some have a wrong password, ask for what is forbidden, or for where nobody listens.
``python -m tests.support.crowd echo`` is such a server; it prints its port.
"""

from __future__ import annotations

import base64
import json
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.support.clients import socks_address
from tests.support.plane import read_exactly

USERS = 8
PASSWORD = "s3cret"
FORBIDDEN = "127.9.9.9"  # if there is a rule that says so
CLOSED = 1  # a port where nobody listens
_THREADS = 24


class Crowd:
    """What came of connections."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()

    def add(self, other: dict[str, dict[str, int]]) -> None:
        """These as well."""
        self.outcomes.update(other["outcomes"])
        self.sent.update(other["sent"])
        self.received.update(other["received"])


def name(number: int) -> str:
    """Who makes a connection."""
    return f"user{number % USERS}"


def _connect(port: int, number: int) -> socket.socket:
    source = f"127.0.{number % 7}.{number % 200 + 1}"  # ports that were used need some time
    return socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))


def _log_in(client: socket.socket, user: str, password: str) -> bool:
    said = user.encode(), password.encode()
    client.sendall(b"\x05\x01\x02\x01" + b"".join(bytes([len(each)]) + each for each in said))
    return read_exactly(client, 4)[3] == 0


def _one(port: int, echo: int, number: int, crowd: Crowd) -> str:
    """One connection; what came of it."""
    kind = number % 20
    destination = f"127.0.0.{number % 4 + 1}"
    with _connect(port, number) as client:
        if kind == 1:
            return "authentication_failed" if not _log_in(client, name(number), "wrong") else "let in"
        if kind == 2:
            _open_http(client, destination, echo, number)
            return _exchange(client, number, crowd)
        assert _log_in(client, name(number), PASSWORD)
        host, at = (FORBIDDEN, 80) if kind == 3 else (destination, CLOSED if kind == 4 else echo)
        client.sendall(b"\x05\x01\x00" + socks_address(host, at))
        code = read_exactly(client, 10)[1]
        if kind in (3, 4):
            return {2: "forbidden", 5: "connection_refused"}.get(code, f"reply {code}")
        assert code == 0, code
        return _exchange(client, number, crowd)


def _open_http(client: socket.socket, host: str, port: int, number: int) -> None:
    credentials = base64.b64encode(f"{name(number)}:{PASSWORD}".encode()).decode()
    fields = f"Host: {host}\r\nProxy-Authorization: Basic {credentials}\r\n"
    client.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\n{fields}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(client, 1)
    assert b" 200 " in head


def _exchange(client: socket.socket, number: int, crowd: Crowd) -> str:
    data = bytes([number % 256]) * (number % 300 + 1)
    client.sendall(data)
    crowd.sent[name(number)] += len(data)
    assert read_exactly(client, len(data)) == data
    crowd.received[name(number)] += len(data)
    return "tunnel"


def make(port: int, echo: int, count: int) -> Crowd:
    """Make the connections, some at a time. A connection that breaks is an outcome, too."""

    def some(first: int) -> Crowd:
        crowd = Crowd()
        for number in range(first, count, _THREADS):
            try:
                outcome = _one(port, echo, number, crowd)
            except (OSError, AssertionError) as error:
                outcome = f"broken: {type(error).__name__}"
            crowd.outcomes[outcome] += 1
        return crowd

    whole = Crowd()
    with ThreadPoolExecutor(_THREADS) as threads:
        for crowd in threads.map(some, range(_THREADS)):
            whole.add(vars(crowd))
    return whole


class Making:
    """Crowds that are under way."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def finish(self) -> Crowd:
        """What came of all of them."""
        whole = Crowd()
        for process in self._processes:
            out, _ = process.communicate(timeout=120)
            whole.add(json.loads(out))
        return whole


def begin(port: int, echo: int, count: int, processes: int = 2) -> Making:
    """Begin to make this many connections, by some processes."""
    command = [sys.executable, "-m", "tests.support.crowd", str(port), str(echo), str(count // processes)]
    return Making([subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)])


@contextmanager
def echoing() -> Iterator[int]:
    """An echo server in a process of its own, on all addresses of loopback; yields its port."""
    command = [sys.executable, "-m", "tests.support.crowd", "echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


def _echo() -> None:
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as listener, select.epoll() as poll:
        print(listener.getsockname()[1], flush=True)
        listener.setblocking(False)
        poll.register(listener.fileno(), select.EPOLLIN)
        clients: dict[int, socket.socket] = {}
        while True:
            for fd, _ in poll.poll():
                if fd == listener.fileno():
                    client = listener.accept()[0]
                    clients[client.fileno()] = client
                    poll.register(client.fileno(), select.EPOLLIN)
                    continue
                try:
                    data = clients[fd].recv(65536)
                except OSError:
                    data = b""
                if data:
                    clients[fd].sendall(data)
                else:
                    poll.unregister(fd)
                    clients.pop(fd).close()


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        _echo()
    else:
        print(json.dumps(vars(make(*map(int, sys.argv[1:])))))
