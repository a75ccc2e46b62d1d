"""What every user has moved, counted in memory that all workers and the daemon share.

    header    what this memory is
    numbers   per slot: the number of the user who is counted there; 0: nobody
    orders    per slot, written by the daemon: rates, and where the quota ends; and how far the rates are spent,
              which all workers write (vpn.proxy.shaping)
    counts    per worker and slot, written by that worker alone: connections, bytes
    devices   per worker and slot, written by that worker alone: where the user's connections come from

Every other cell has one writer, so there are no locks; who wants to know about a user adds up the workers' cells. A
user's cells of one kind fill a cache line. The memory is a file: what was counted outlives every process, and
is booked when the daemon is back (vpn.services.enforcement). Only what is reserved takes space, and nothing else is
touched: a page that the disk has no room for would kill who writes it.

Slot 0 belongs to those who are no user of ours, together: they are counted, and nobody looks.
"""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Iterator

SLOTS = 65536
"""Users that can be counted, slot 0 included."""
LINE = 8  # cells in a cache line
DEVICES = 32
"""Source addresses of one user that one worker can tell apart."""
RESERVED = 64
"""Slots for which space is reserved at once; what belongs to them begins and ends with a page."""
_CELL = 8  # bytes
_PAGE = 4096 // _CELL
_MAGIC = 0x76706E2D6D657431
_HEADER = _PAGE
MAGIC, GENERATION, WORKERS = range(3)

RATE_DOWN, RATE_UP, STOP, SPENT_DOWN, SPENT_UP = range(5)
"""Orders: bytes per second in each direction (0: as many as there are), and the count of bytes, both directions of
all workers together, at which the user has had enough (0: never); the moments, in nanoseconds of the monotonic
clock, up to which the rates are spent."""

CONNECTIONS, OPENED, UP, DOWN, HUNGRY_UP, HUNGRY_DOWN = range(6)
"""Counts: connections now; connections, bytes from and to clients ever; how often the user had to wait."""


def size(workers: int) -> int:
    """Bytes of the memory for so many workers."""
    return (_HEADER + SLOTS + SLOTS * LINE + workers * SLOTS * (LINE + DEVICES)) * _CELL


def prepare(fd: int, workers: int) -> None:
    """Make an empty file into a meter of a generation of its own.

    Raises:
        OSError: there is no space for it.
    """
    os.ftruncate(fd, size(workers))
    os.posix_fallocate(fd, 0, (_HEADER + SLOTS) * _CELL)
    meter = Meter(fd)
    try:
        meter.cells[GENERATION] = secrets.randbits(62) + 1
        meter.cells[WORKERS] = workers
        meter.reserve(fd, 0)
        meter.cells[MAGIC] = _MAGIC  # last: now it is one
    finally:
        meter.close()


class Meter:
    """The memory, as one process sees it.

    Args:
        fd: the file; it stays open and the caller's.
    """

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, 0)
        self.cells = memoryview(self._memory).cast("q")
        """Everything; where what is, is for those who read and write it to ask here."""

    def check(self) -> None:
        """See whether this was prepared, and not cut off.

        Raises:
            ValueError: it was not.
        """
        cells = self.cells
        whole = len(cells) > WORKERS and cells[MAGIC] == _MAGIC and 0 < cells[WORKERS] <= 1024
        if not whole or len(cells) * _CELL != size(cells[WORKERS]):
            raise ValueError("no meter")

    @property
    def generation(self) -> int:
        """A number that no other meter has."""
        return self.cells[GENERATION]

    @property
    def workers(self) -> int:
        """How many it was made for."""
        return self.cells[WORKERS]

    def order(self, slot: int) -> int:
        """The first cell of a user's orders."""
        return _HEADER + SLOTS + slot * LINE

    def count(self, worker: int, slot: int) -> int:
        """The first cell of a user's counts in one worker."""
        return _HEADER + SLOTS + SLOTS * LINE + (worker * SLOTS + slot) * LINE

    def devices(self, worker: int, slot: int) -> int:
        """The first cell of a user's source addresses in one worker."""
        return _HEADER + SLOTS + SLOTS * LINE * (1 + self.workers) + (worker * SLOTS + slot) * DEVICES

    def number(self, slot: int) -> int:
        """Whose slot it is; 0: nobody's."""
        return self.cells[_HEADER + slot]

    def reserve(self, fd: int, slot: int) -> None:
        """See to it that there is space on the disk for this slot and its neighbours (`RESERVED`); `fd` is the file's.

        Raises:
            OSError: there is none.
        """
        first = slot - slot % RESERVED
        os.posix_fallocate(fd, self.order(first) * _CELL, RESERVED * LINE * _CELL)
        for worker in range(self.workers):
            os.posix_fallocate(fd, self.count(worker, first) * _CELL, RESERVED * LINE * _CELL)
            os.posix_fallocate(fd, self.devices(worker, first) * _CELL, RESERVED * DEVICES * _CELL)

    def assign(self, slot: int, number: int, *, used: bool) -> None:
        """Give a slot, in which nobody is counted any more, to a user; if it was used before, begin with nothing.

        There is to be space for it (`reserve`).
        """
        self.cells[_HEADER + slot] = 0
        if used:
            for first, length in self._lines(slot):
                self._clear(range(first, first + length))
        self.cells[_HEADER + slot] = number

    def totals(self, what: int, slots: int) -> list[int]:
        """One count of the users in the first so many slots, over all workers."""
        columns = []
        for worker in range(self.workers):
            first = self.count(worker, 0)
            columns.append(self.cells[first + what : first + slots * LINE : LINE].tolist())
        return [sum(each) for each in zip(*columns, strict=True)]

    def total(self, slot: int, what: int) -> int:
        """One count of a user over all workers."""
        first = self.count(0, slot) + what
        return sum(self.cells[first : first + self.workers * SLOTS * LINE : SLOTS * LINE].tolist())

    def clear(self, worker: int, slots: int) -> None:
        """This worker is gone, and its connections with it; of the slots, the first so many are in use.

        What it has counted stays.
        """
        first = self.count(worker, 0) + CONNECTIONS
        self._clear(range(first, first + slots * LINE, LINE))
        first = self.devices(worker, 0)
        self._clear(range(first, first + slots * DEVICES))

    def close(self) -> None:
        """Give the memory back; nothing that was made from it can be used any more."""
        self.cells.release()
        self._memory.close()

    def _clear(self, cells: range) -> None:
        for cell, value in zip(cells, self.cells[cells.start : cells.stop : cells.step].tolist(), strict=True):
            if value:
                self.cells[cell] = 0

    def _lines(self, slot: int) -> Iterator[tuple[int, int]]:
        yield self.order(slot), LINE
        for worker in range(self.workers):
            yield self.count(worker, slot), LINE
            yield self.devices(worker, slot), DEVICES
