"""The sessions that ended, from a worker to the daemon, in a file that both have in memory.

    header    what this file is, how far it is written, and how far it has been taken
    ring      records: four bytes of length, and a session as msgpack
    tail      records that found no room in the ring, of a worker whose daemon has died; else nothing

The worker alone writes the ring and says how far (`WRITTEN`); the daemon says what is safe elsewhere (`TAKEN`),
and may be overwritten. Both count bytes since the file was made. When all is taken, the worker begins at the start of
the ring again, and moves both. The file's pages outlive every process: what a
worker that was killed had written is read by the daemon, and what a daemon that was killed had not yet stored is
stored by the next one.

Where the daemon hangs the ring fills up; then sessions wait in the worker, and beyond `MOST_WAITING` they are
counted as lost. The header also says how many sessions have begun, so that of a worker that was killed it is known
how many nobody will ever hear of.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
from collections import deque
from collections.abc import Callable

import msgspec

from vpn.domain.session import Session

CAPACITY = 4 * 1024 * 1024
"""Bytes of a ring: some twenty thousand sessions."""
MOST_WAITING = 20_000
"""Sessions that wait in a worker while the ring is full."""
_CELL = 8
_PAGE = 4096
_MAGIC = 0x76706E2D6A726E31
MAGIC, GENERATION, RING, WRITTEN, TAKEN, LOST, BEGUN, LATEST = range(8)
_LENGTH = 4  # bytes
_SKIP = (1 << 32) - 1  # in place of a length: the next record is at the beginning of the ring
_REWIND = 256 * 1024  # bytes; who is further than that in an empty ring begins anew, so that few pages are in use
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Session).decode


def prepare(fd: int, capacity: int = CAPACITY, latest: int = 0) -> None:
    """Make an empty file into a journal of a generation of its own.

    Args:
        capacity: bytes of its ring.
        latest: an identifier that was given in its place earlier; those that follow are greater.

    Raises:
        OSError: there is no space for it.
    """
    # With all its blocks: a page that cannot be written later would kill the worker.
    os.posix_fallocate(fd, 0, _PAGE + capacity)
    journal = Journal(fd)
    journal.cells[GENERATION] = secrets.randbits(62) + 1
    journal.cells[RING] = capacity
    journal.cells[LATEST] = latest
    journal.cells[MAGIC] = _MAGIC  # last: now it is one
    journal.close()


class Journal:
    """The file, as one process sees it.

    Args:
        fd: the file; it stays the caller's, and open for who is to write the tail.

    Raises:
        ValueError: it is too short for a journal.
    """

    def __init__(self, fd: int) -> None:
        if os.fstat(fd).st_size <= _PAGE:
            raise ValueError("no journal")
        self._memory = mmap.mmap(fd, 0)
        whole = memoryview(self._memory)
        self.file = fd
        self.cells = whole[:_PAGE].cast("q")
        end = _PAGE + self.cells[RING] if 0 < self.cells[RING] < len(whole) - _PAGE else len(whole)
        self.ring = whole[_PAGE:end]
        self.tail = whole[end:]
        self.read_to = self.cells[TAKEN]
        """How far this process has read."""
        self.ends: list[int] = []
        """Where each of the sessions ends that `read` returned last."""

    def check(self) -> None:
        """See whether this was prepared, and not cut off.

        Raises:
            ValueError: it was not.
        """
        cells = self.cells
        used = cells[WRITTEN] - cells[TAKEN]
        if cells[MAGIC] != _MAGIC or cells[RING] != len(self.ring) or not 0 <= used <= len(self.ring):
            raise ValueError("no journal")

    @property
    def generation(self) -> int:
        """A number that no other journal has."""
        return self.cells[GENERATION]

    @property
    def written(self) -> int:
        """How far it is written."""
        return self.cells[WRITTEN]

    @property
    def taken(self) -> int:
        """How far what was written is safe elsewhere."""
        return self.cells[TAKEN]

    def take(self, position: int) -> None:
        """What was written before this position is safe elsewhere, and may be overwritten."""
        if position <= self.cells[TAKEN]:
            return  # and it is not written: that of an empty ring is the worker's
        self.cells[TAKEN] = position

    @property
    def fullness(self) -> float:
        """Which part of the ring is not to be overwritten, from 0 to 1."""
        return (self.written - self.taken) / len(self.ring)

    @property
    def lost(self) -> int:
        """Sessions for which there was no room anywhere."""
        return self.cells[LOST]

    @property
    def begun(self) -> int:
        """Sessions that have begun, of all workers that wrote it."""
        return self.cells[BEGUN]

    @property
    def latest(self) -> int:
        """The greatest identifier that was given; 0: none."""
        return self.cells[LATEST]

    def read(self, until: int) -> list[Session]:
        """The sessions from where the last reading ended up to this position, which `written` has reached.

        Where one of them is damaged, those before it are returned, and `read_to` is there.

        Raises:
            ValueError: the first of them is damaged.
        """
        sessions: list[Session] = []
        ring, size = self.ring, len(self.ring)
        position = max(self.read_to, self.cells[TAKEN])  # the worker may have begun anew
        self.ends = ends = list[int]()
        while position < until:
            start = position % size
            length = int.from_bytes(ring[start : start + _LENGTH], "little") if start + _LENGTH <= size else _SKIP
            if length == _SKIP:
                position += size - start
                continue
            end = start + _LENGTH + length
            try:
                if end > size or position + _LENGTH + length > until:
                    raise ValueError("a record is damaged")
                sessions.append(_decode(ring[start + _LENGTH : end]))
            except (ValueError, msgspec.MsgspecError) as error:
                if sessions:
                    return sessions
                raise ValueError(f"a record is damaged: {error}") from None
            position += _LENGTH + length
            self.read_to = position
            ends.append(position)
        self.read_to = position
        return sessions

    def read_tail(self) -> list[Session]:
        """The sessions in the tail, which continues the ring, from where the last reading ended.

        What is cut off or damaged is left out, with all that follows it.
        """
        sessions: list[Session] = []
        tail = self.tail
        self.read_to = max(self.read_to, self.written)
        self.ends = ends = list[int]()
        start = self.read_to - self.written
        while start + _LENGTH < len(tail):
            end = start + _LENGTH + int.from_bytes(tail[start : start + _LENGTH], "little")
            try:
                if end > len(tail):
                    raise ValueError("a record is cut off")
                sessions.append(_decode(tail[start + _LENGTH : end]))
            except (ValueError, msgspec.MsgspecError):
                break
            self.read_to += end - start
            ends.append(self.read_to)
            start = end
        return sessions

    def close(self) -> None:
        """Give the memory back."""
        self.cells.release()
        self.ring.release()
        self.tail.release()
        self._memory.close()


class Recorder:
    """Writes sessions into a journal, as its only writer.

    Args:
        hurry: called once when much has been written since the last `settle`.
    """

    __slots__ = (
        "_alarm",
        "_cells",
        "_file",
        "_hurry",
        "_lost_before",
        "_ring",
        "_room",
        "_size",
        "_taken",
        "_waiting",
        "_written",
    )

    def __init__(self, journal: Journal, hurry: Callable[[], None] | None = None) -> None:
        self._cells = journal.cells
        self._file = journal.file
        self._ring = journal.ring
        self._size = len(journal.ring)
        self._written = journal.written
        self._taken = journal.taken
        self._alarm = self._written + self._size // 4
        self._hurry = hurry
        self._waiting: deque[bytes] = deque()
        self._lost_before = journal.lost

    @property
    def waiting(self) -> int:
        """Sessions for which there is no room yet."""
        return len(self._waiting)

    @property
    def lost(self) -> int:
        """Sessions for which there was no room anywhere, since this began to write."""
        return self._cells[LOST] - self._lost_before

    def record(self, session: Session) -> None:
        """Write a session, now or as soon as there is room."""
        body = _encode(session)
        data = len(body).to_bytes(_LENGTH, "little") + body
        if self._waiting or not self._write(data):
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(data)
            else:
                self._cells[LOST] += 1
        if self._written > self._alarm and self._hurry is not None:
            self._alarm = self._written + self._size
            self._hurry()

    @property
    def latest(self) -> int:
        """The identifier that was given last; 0: none."""
        return self._cells[LATEST]

    def begin(self, number: int) -> None:
        """A session of this identifier has begun."""
        self._cells[LATEST] = number
        self._cells[BEGUN] += 1

    def leave_behind(self) -> None:
        """The daemon has died, and we end: what waits goes to the tail of the journal, whose file is to be open."""
        left = b"".join(self._waiting)
        end = _PAGE + self._size
        with contextlib.suppress(OSError):  # there is no space
            if left and os.pwrite(self._file, left, end) == len(left):
                self._waiting.clear()
            else:
                os.ftruncate(self._file, end)
        self.give_up()

    def give_up(self) -> None:
        """Who writes ends: what waits is lost."""
        self._cells[LOST] += len(self._waiting)
        self._waiting.clear()

    def settle(self) -> int:
        """Write what waits, as far as there is room; returns how far the journal is written."""
        while self._waiting and self._write(self._waiting[0]):
            self._waiting.popleft()
        self._alarm = self._written + self._size // 4
        return self._written

    def _write(self, data: bytes) -> bool:
        size = self._size
        position = self._written
        start = position % size
        if start + len(data) > size or (start > _REWIND and self._cells[TAKEN] == position):
            rest = size - start
            if self._free(position) < rest:
                return False
            if start + _LENGTH <= size:
                self._ring[start : start + _LENGTH] = _SKIP.to_bytes(_LENGTH, "little")
            position += rest
            start = 0
            if self._taken == self._written:  # nothing is held in the rest, which would count as if it were full
                self._cells[WRITTEN] = self._written = position
                self._cells[TAKEN] = self._taken = position
                self._alarm += rest
        if position + len(data) - self._taken > size and self._free(position) < len(data):
            return False
        self._ring[start : start + len(data)] = data
        self._written = position + len(data)
        self._cells[WRITTEN] = self._written  # last: whoever is killed before has not written it
        return True

    def _free(self, position: int) -> int:
        self._taken = self._cells[TAKEN]
        return self._size - (position - self._taken)
