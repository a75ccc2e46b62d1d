"""Connections counted over all workers, in memory that they share.

Each worker has a row of counters that it alone writes; who wants to know how many there are in all adds up a
column. A place is taken first and counted then, so that two workers that take the last one at the same
moment may both give it back, but never both keep it.
"""

from __future__ import annotations

import mmap
import os
import threading

COLUMNS = 256
EVERYTHING = 0
"""The column of all connections; the others belong to one inbound each."""
_SIZE = 8  # bytes of a counter


def create(workers: int) -> int:
    """Memory for the counters of so many workers: a descriptor to be inherited."""
    fd = os.memfd_create("vpn-limits")
    os.ftruncate(fd, workers * COLUMNS * _SIZE)
    return fd


class Counters:
    """All counters, as one process sees them.

    Args:
        fd: the descriptor of the memory; it stays open and the caller's.
        row: which of them are this worker's.
    """

    def __init__(self, fd: int, row: int = 0) -> None:
        self._memory = mmap.mmap(fd, 0)
        self._cells = memoryview(self._memory).cast("q")
        self._row = row

    def column(self, column: int, most: int) -> Places:
        """Places of which there are `most` over all workers (0: any number)."""
        return Places(self._cells, range(column, len(self._cells), COLUMNS), self._row * COLUMNS + column, most)

    def total(self, column: int) -> int:
        """How many there are over all workers."""
        return sum(self._cells[column::COLUMNS].tolist())

    def clear(self, row: int) -> None:
        """The worker of this row is gone, and its connections with it."""
        for cell in range(row * COLUMNS, (row + 1) * COLUMNS):
            self._cells[cell] = 0

    def close(self) -> None:
        """Give the memory back; places that were made here cannot be used any more."""
        self._cells.release()
        self._memory.close()


class Places:
    """One column, and this worker's cell of it."""

    __slots__ = ("_cells", "_column", "_fence", "_most", "_own")

    def __init__(self, cells: memoryview, column: range, own: int, most: int) -> None:
        self._cells = cells
        self._column = column
        self._own = own
        self._most = most
        self._fence = threading.Lock()

    def take(self) -> bool:
        """Take a place; False if there is none."""
        cells = self._cells
        cells[self._own] += 1
        if not self._most:
            return True
        # What we wrote must be seen by the other cores before we read what they wrote: taking a lock, even
        # one that nobody else wants, is a full memory barrier.
        with self._fence:
            pass
        if sum([cells[cell] for cell in self._column]) > self._most:
            cells[self._own] -= 1
            return False
        return True

    def give(self) -> None:
        """Give a place back."""
        self._cells[self._own] -= 1
