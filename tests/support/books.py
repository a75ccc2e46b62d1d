"""What was counted and what was booked for users of a real daemon, read from outside."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.support.waiting import until
from vpn.proxy.meter import CONNECTIONS, DOWN, SLOTS, UP, Meter

Query = Callable[[str], list[tuple[int, ...]]]


class Books:
    """Of the daemon in a data directory, which need not run.

    Args:
        url: of its PostgreSQL; empty: its database is the file in the data directory.
    """

    def __init__(self, data_dir: Path, url: str = "") -> None:
        self._data_dir = data_dir
        self._url = url

    def booked(self, name: str) -> int:
        """Bytes of a user in the store."""
        number = self._number(name)
        ((moved,),) = self._ask(f"SELECT COALESCE(SUM(bytes_up + bytes_down), 0) FROM usage WHERE user_id = {number}")
        return int(moved)

    def counted(self, name: str) -> int:
        """Bytes of a user in the present meter."""
        return sum(self.cells(name, UP)) + sum(self.cells(name, DOWN))

    def connections(self, name: str) -> list[int]:
        """What each worker has open for a user."""
        return self.cells(name, CONNECTIONS)

    def order(self, name: str, what: int) -> int:
        """One of a user's orders."""
        return self._read(name, lambda meter, slot: [meter.cells[meter.order(slot) + what]])[0]

    def cells(self, name: str, what: int) -> list[int]:
        """One of a user's counts, for each worker."""
        return self._read(
            name, lambda meter, slot: [meter.cells[meter.count(worker, slot) + what] for worker in range(meter.workers)]
        )

    def wait_for_workers(self) -> None:
        """Return when no process of a daemon that was killed writes any more."""
        fd = os.open(self._data_dir / "meter", os.O_RDWR)
        try:
            until(lambda: self._is_free(fd))
        finally:
            os.close(fd)

    def _is_free(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read(self, name: str, look: Callable[[Meter, int], list[int]]) -> list[int]:
        number = self._number(name)
        fd = os.open(self._data_dir / "meter", os.O_RDWR)
        meter = Meter(fd)
        try:
            slots = (slot for slot in range(1, SLOTS) if meter.number(slot) == number)
            return look(meter, next(slots))
        finally:
            meter.close()
            os.close(fd)

    def _number(self, name: str) -> int:
        ((number,),) = self._ask(f"SELECT id FROM users WHERE canonical_name = '{name}'")
        return number

    def _ask(self, question: str) -> list[tuple[int, ...]]:
        if self._url:
            with psycopg.connect(self._url) as database:
                return database.execute(question.encode()).fetchall()
        file = sqlite3.connect(f"file:{self._data_dir / 'vpn.db'}?mode=ro", uri=True, timeout=10)
        try:
            return file.execute(question).fetchall()
        finally:
            file.close()
