"""Clients by the hundred, and what the store of a real daemon knows of them."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.support.child import in_child
from tests.support.clients import connect
from tests.support.plane import read_exactly
from vpn.store.session_rows import LISTED


def every_session(segments: Iterable[int]) -> str:
    """What SQL selects from for all sessions, whose segments have these numbers: ended and live ones."""
    tables = [*(f"sessions_{number}" for number in segments), "sessions_live"]
    return "(" + " UNION ALL ".join(f"SELECT {LISTED} FROM {table}" for table in tables) + ") AS sessions"


class History:
    """The sessions in the store of the daemon in a data directory, which need not run.

    Args:
        url: of its PostgreSQL; empty: its database is the file in the data directory.
        through: the words before a command for which the data directory is there, if it is not for everybody.
    """

    def __init__(self, data_dir: Path, url: str = "", through: Sequence[str] = ()) -> None:
        self._data_dir = data_dir
        self._url = url
        self._through = through

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """Rows of the database; where it says ``FROM sessions``, of all of them."""
        if "FROM sessions " in question:
            numbers = [number for (number,) in self.ask("SELECT number FROM session_segments ORDER BY number")]
            question = question.replace("FROM sessions ", f"FROM {every_session(numbers)} ")
        if self._url:
            with psycopg.connect(self._url) as database:
                return database.execute(question.encode()).fetchall()
        if self._through:
            code = "import sqlite3; answer(sqlite3.connect(sys.argv[1], timeout=10).execute(sys.argv[2]).fetchall())"
            rows = in_child(code, str(self._data_dir / "vpn.db"), question, through=self._through)
            return [tuple(row) for row in rows]
        with contextlib.closing(self.connect()) as file:
            return file.execute(question).fetchall()

    def connect(self) -> sqlite3.Connection:
        """The SQLite file."""
        return sqlite3.connect(self._data_dir / "vpn.db", timeout=10, isolation_level=None)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else can write to the SQLite file."""
        with contextlib.closing(self.connect()) as file:
            file.execute("BEGIN IMMEDIATE")
            yield
            file.execute("ROLLBACK")

    def doubled(self) -> bool:
        """Whether a session is there twice. A client's port may be another one's later."""
        rows = self.ask("SELECT source_port, started FROM sessions ")
        return len(rows) != len(set(rows))

    def ports(self, where: str = "true") -> list[int]:
        """The ports that the clients came from."""
        return sorted(port for (port,) in self.ask(f"SELECT source_port FROM sessions WHERE {where}"))


def visit(port: int) -> int:
    """One short session: a client that is turned away. Returns where it came from.

    Raises:
        ConnectionError, AssertionError: it was not served.
    """
    with connect(port) as client:
        source: int = client.getsockname()[1]
        client.sendall(b"\x05\x01\x09")
        assert read_exactly(client, 2) == b"\x05\xff"
        return source


class Crowd:
    """Short sessions without end, from several threads, until it is told to go."""

    def __init__(self, port: int, threads: int = 4) -> None:
        self.served: list[int] = []
        """Ports of the clients that were served."""
        self.tried = 0
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._come) for _ in range(threads)]

    def _come(self) -> None:
        while not self._over.is_set():
            self.tried += 1
            try:
                self.served.append(visit(self._port))
            except (OSError, AssertionError):
                self._over.wait(0.01)  # nobody is there at the moment

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def is_alive(client: socket.socket) -> bool:
    """Whether an echo comes back."""
    try:
        client.sendall(b"x")
        return client.recv(1) == b"x"
    except OSError:
        return False
