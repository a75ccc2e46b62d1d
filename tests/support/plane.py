"""A data plane in a thread of the test: real sockets, a real poller, and the test as its daemon."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vpn.domain.address import Endpoint
from vpn.domain.egress import Egress
from vpn.domain.inbound import Inbound, Timeouts
from vpn.domain.session import Session
from vpn.proxy import journal, limits
from vpn.proxy.accounts import Accounts
from vpn.proxy.control import Attempts, Hungry, Log, Message, Snapshot, SnapshotUser, Verdict, Verify
from vpn.proxy.core import Core
from vpn.proxy.entry import Entry
from vpn.proxy.listener import Listener, open_socket
from vpn.proxy.meter import DOWN, RATE_DOWN, RATE_UP, STOP, UP, Meter, prepare
from vpn.proxy.poller import Poller
from vpn.proxy.shaping import Lanes

PASSWORD = "s3cret"
TIMEOUTS = Timeouts(handshake=5, connect=5, idle=30)


def snapshot(version: int = 1, *, users: dict[str, bool] | None = None, **egress: Any) -> Snapshot:
    """A snapshot with these users, enabled or not, and fields of `Egress`."""
    enabled = {"alice": True, "bob": True} if users is None else users
    known = [SnapshotUser(name, 1, "" if state else "user_disabled") for name, state in enabled.items()]
    return Snapshot(version=version, users=known, egress=Egress(**{"private_destinations": True} | egress))


def lone_accounts() -> Accounts:
    """Users as a worker without others counts them."""
    memory = os.memfd_create("meter")
    prepare(memory, 1)
    meter = Meter(memory)
    os.close(memory)
    return accounts_in(meter, 0)


def lone_recorder() -> tuple[journal.Journal, journal.Recorder]:
    """A journal that nobody else has, and who writes it."""
    memory = os.memfd_create("journal")
    journal.prepare(memory)
    made = journal.Journal(memory)
    os.close(memory)
    return made, journal.Recorder(made)


def accounts_in(meter: Meter, worker: int) -> Accounts:
    """Users as this worker counts them; nobody of them is to wait."""
    return Accounts(meter, worker, Lanes(meter.cells, Poller(_refuse), _do_nothing))


def _refuse(error: Exception) -> None:
    raise error


def _do_nothing() -> None:
    """Nobody is told."""


class Plane:
    """One worker's insides. Everyone's password is `PASSWORD`."""

    def __init__(self, **inbound: Any) -> None:
        self.errors: list[Exception] = []
        self.logs: list[Log] = []
        self.hungry = 0
        self.verified: list[Verify] = []
        self.attempts: list[Attempts] = []
        self.sessions: list[Session] = []
        self.poller = Poller(self.errors.append)
        self._metered = os.memfd_create("meter")
        prepare(self._metered, 1)
        self.meter = Meter(self._metered)
        lanes = Lanes(self.meter.cells, self.poller, lambda: self._receive(Hungry()))
        self._journaled = os.memfd_create("journal")
        journal.prepare(self._journaled)
        self.journal = journal.Journal(self._journaled)
        recorder = journal.Recorder(self.journal)
        self.core = Core(self.poller, self._receive, Accounts(self.meter, 0, lanes), recorder)
        self.core.apply(snapshot())
        self._memory = limits.create(1)
        self.counters = limits.Counters(self._memory)
        self.listeners: list[Listener] = []
        self.port = self._open(inbound)
        self._wake, self._woken = socket.socketpair()
        self._calls: list[Callable[[], None]] = []
        self.poller.register(self._woken.fileno(), self._on_wake, 1)
        self._thread = threading.Thread(target=self.poller.run, daemon=True)

    def _open(self, fields: dict[str, Any], max_connections: int = 0) -> int:
        number = len(self.listeners) + 1
        sock = open_socket(("127.0.0.1", 0), socket.AF_INET)
        port: int = sock.getsockname()[1]
        self.listeners.append(Listener(self.core, sock, self._entry(number, port, fields, max_connections)))
        return port

    def _entry(self, number: int, port: int, fields: dict[str, Any], max_connections: int) -> Entry:
        name = "main" if number == 1 else f"inbound{number}"
        made = {"name": name, "protocol": "mixed", "timeouts": TIMEOUTS} | fields
        inbound = Inbound(listen=Endpoint("127.0.0.1", port), **made)
        everything = self.counters.column(limits.EVERYTHING, max_connections)
        return Entry(number, inbound, everything, self.counters.column(number, inbound.max_connections))

    def open(self, *, max_connections: int = 0, **inbound: Any) -> int:
        """Another inbound; returns its port."""
        return int(self.do(lambda: self._open(inbound, max_connections)))

    def amend(self, *, max_connections: int = 0, **inbound: Any) -> None:
        """Serve the first inbound in another way from now on."""
        entry = self._entry(1, self.port, inbound, max_connections)
        self.do(lambda: self.listeners[0].serve(entry))

    def _receive(self, message: Message) -> None:
        if isinstance(message, Log):
            self.logs.append(message)
        elif isinstance(message, Hungry):
            self.hungry += 1
        elif isinstance(message, Attempts):
            self.attempts.append(message)
        elif isinstance(message, Verify):
            self.verified.append(message)
            verdict = Verdict(message.id, message.password == PASSWORD, 1)
            self.poller.soon(lambda: self.core.credentials.settle(verdict, self.poller.now))

    def _on_wake(self, mask: int) -> None:
        self._woken.recv(4096)
        calls, self._calls = self._calls, []
        for call in calls:
            call()

    def do(self, action: Callable[[], Any]) -> Any:
        """Run something in the plane's thread, and return what it returns."""
        done = threading.Event()
        result: list[Any] = []

        def call() -> None:
            try:
                result.append(action())
            finally:
                done.set()

        self._calls.append(call)
        self._wake.send(b"x")
        assert done.wait(5), "the plane hangs"
        assert result, "the action failed"
        return result[0]

    def until(self, condition: Callable[[], bool], seconds: float = 5) -> None:
        """Wait until the condition, looked at in the plane's thread, holds."""
        tick = threading.Event()
        for _ in range(int(seconds * 100)):
            if self.do(condition):
                return
            tick.wait(0.01)
        raise AssertionError("it did not come to that")

    def ended(self, count: int = 1) -> list[Session]:
        """The sessions that have ended, once there are `count` of them."""

        def enough() -> bool:
            self.sessions += self.journal.read(self.core.report().journaled)
            self.journal.take(self.journal.read_to)
            return len(self.sessions) >= count

        self.until(enough)
        return self.sessions

    def limit(self, *, down: int = 0, up: int = 0) -> None:
        """Everybody has these rates in bytes per second from now on; 0: any."""
        order = self.meter.order(0)

        def write() -> bool:
            self.meter.cells[order + RATE_DOWN] = down
            self.meter.cells[order + RATE_UP] = up
            return True

        self.do(write)

    def end_quota(self) -> None:
        """Nobody may move anything from now on."""
        self.do(lambda: self.meter.cells.__setitem__(self.meter.order(0) + STOP, -1) or True)

    def moved(self) -> tuple[int, int]:
        """Bytes that everybody together has sent and received."""
        return self.meter.total(0, UP), self.meter.total(0, DOWN)

    def connect(self) -> socket.socket:
        """A client's connection to the listener."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def tunnel(self, port: int, user: str = "alice", host: str = "127.0.0.1") -> socket.socket:
        """A client's SOCKS5 tunnel to a port on this machine."""
        client = self.connect()
        login(client, user)
        name = host.encode()
        client.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
        reply = read_exactly(client, 10)
        assert reply[:4] == b"\x05\x00\x00\x01", reply
        return client

    def _finish(self) -> bool:
        for listener in self.listeners:
            listener.close()
        for connection in list(self.core.connections):
            connection.cut("end of the test")
        self.core.resolver.close()
        self.poller.stop()
        return True

    def __enter__(self) -> Plane:
        self._thread.start()
        return self

    def _forget_upstreams(self) -> None:
        """Close what is ready to be used, and wait for what is being made ready."""
        pools = self.do(lambda: [way.pool for way in self.core.outgoing._ways.values()])
        self.do(lambda: self.core.outgoing.configure(Egress()) or True)
        self.until(lambda: not any(any(pool._coming.values()) for pool in pools))

    def __exit__(self, *_: object) -> None:
        self._forget_upstreams()
        self.do(self._finish)
        self._thread.join(5)
        for sock in (self._wake, self._woken):
            sock.close()
        self.core.pipes.close()
        self.core = None  # type: ignore[assignment] # it holds places of the memory
        self.listeners.clear()
        os.close(self._memory)
        os.close(self._metered)
        os.close(self._journaled)


def put_off_names(plane: Plane) -> list[Callable[[list[bytes]], None]]:
    """Names are resolved when the test calls what it finds here, with addresses, in the plane's thread."""
    late: list[Callable[[list[bytes]], None]] = []
    plane.do(lambda: setattr(plane.core.resolver, "resolve", lambda name, done: late.append(done)) or True)
    return late


def login(client: socket.socket, user: str = "alice", password: str = PASSWORD) -> None:
    """The SOCKS5 conversation up to the request."""
    client.sendall(b"\x05\x01\x02")
    assert read_exactly(client, 2) == b"\x05\x02"
    name, secret = user.encode(), password.encode()
    client.sendall(b"\x01" + bytes([len(name)]) + name + bytes([len(secret)]) + secret)
    assert read_exactly(client, 2) == b"\x01\x00"


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """`count` bytes, or an AssertionError at the end of the stream."""
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, f"the stream ended after {len(data)} bytes: {data[:50]!r}"
        data += piece
    return data


def read_all(sock: socket.socket) -> bytes:
    """Everything up to the end of the stream."""
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@contextmanager
def running_plane(**inbound: Any) -> Iterator[Plane]:
    """A plane with an inbound like this, whose handlers must not let an exception through."""
    with Plane(**inbound) as plane:
        yield plane
    assert plane.errors == []
