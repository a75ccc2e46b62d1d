"""Salts that clients have used: who repeats one plays back what somebody else has sent.

    header    what this memory is, and the key of the fingerprints
    tables    per worker, written by that worker alone: buckets, each a cache line of a count and seven fingerprints

All workers share the memory, and a salt that one has taken is taken for all: it is written down first and looked for in
the others' tables then, so of two workers that are given the same one at the same moment both may refuse it, but never
do both take it. A bucket that is full forgets its oldest, after some half a million salts of a worker on average.

The memory is a file, for the older ciphers (SIP004) tell no time: what was sent before a restart would be good again.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import struct
import threading
from pathlib import Path

from vpn.domain.errors import Unavailable

BUCKETS = 65536
"""Of one worker's table: 4 MiB."""
_KEPT = 7  # fingerprints in a bucket
_LINE = _KEPT + 1  # cells in a bucket
_CELL = 8  # bytes
_MAGIC = 0x76706E2D73616C31
_HEADER = 4096 // _CELL  # cells
_KEY = slice(2, 4)  # the cells of the key
_FULL = (1 << 63) - 1
_fingerprints = struct.Struct(f"={_CELL}x{_KEPT}Q").unpack_from  # of a bucket


def size(workers: int) -> int:
    """Bytes of the memory for so many workers."""
    return (_HEADER + workers * BUCKETS * _LINE) * _CELL


def create(workers: int) -> int:
    """Memory that ends with the processes that have it: a descriptor to be inherited."""
    fd = os.memfd_create("vpn-salts")
    os.ftruncate(fd, size(workers))
    _sign(fd, workers)
    return fd


def open_file(path: Path, workers: int) -> int:
    """The memory that lies in a file; a new one where there is none, or one for another number of workers.

    Raises:
        Unavailable: it cannot be made, or there is no space for it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(fd).st_size == size(workers) and _is_signed(fd, workers):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return _make(path, workers)
    except OSError as error:
        hint = "is there space, and may we write there?"
        raise Unavailable("salts_unusable", f"{path}: {error.strerror}", hint) from None


def _make(path: Path, workers: int) -> int:
    """A new file takes the old one's place: what still writes to that disturbs nobody."""
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(fd, 0, size(workers))  # a page without room on the disk would kill who writes it
        _sign(fd, workers)
        fresh.rename(path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _sign(fd: int, workers: int) -> None:
    header = b"".join(number.to_bytes(_CELL, "little") for number in (_MAGIC, workers))
    os.pwrite(fd, header + secrets.token_bytes(2 * _CELL), 0)


def _is_signed(fd: int, workers: int) -> bool:
    header = os.pread(fd, 2 * _CELL, 0)
    return [int.from_bytes(header[at : at + _CELL], "little") for at in (0, _CELL)] == [_MAGIC, workers]


class Salts:
    """The salts that all workers have taken, as one of them sees them.

    Args:
        fd: the descriptor of the memory; it stays open and the caller's.
        row: which of the tables is this worker's.
    """

    def __init__(self, fd: int, row: int = 0) -> None:
        memory = mmap.mmap(fd, 0)
        self._memory = memoryview(memory)
        self._cells = self._memory.cast("Q")
        self._key = bytes(self._memory[_KEY.start * _CELL : _KEY.stop * _CELL])
        tables = range(_HEADER, len(self._cells), BUCKETS * _LINE)
        self._own = tables[row]
        self._others = [table for table in tables if table != self._own]
        self._fence = threading.Lock()

    @property
    def own_key(self) -> bytes:
        """16 bytes that all workers have, after a restart, too, and nobody else: for what marks salts of our own."""
        return hashlib.blake2b(b"our own", digest_size=16, key=self._key).digest()

    def fresh(self, salt: bytes) -> bool:
        """Take a salt; False if it was taken before, here or by another worker, as far back as is remembered.

        It is for salts whose sender has proved to know a key: others would crowd out those.
        """
        fingerprint, bucket = self._place(salt)
        if not self._write(fingerprint, self._own + bucket):
            return False
        if not self._others:
            return True
        # What we wrote must be seen by the other cores before we read what they wrote: taking a lock, even one that
        # nobody else wants, is a full memory barrier.
        with self._fence:
            pass
        memory = self._memory
        return all(fingerprint not in _fingerprints(memory, (table + bucket) * _CELL) for table in self._others)

    def note(self, salt: bytes) -> None:
        """Take a salt of our own, which nobody has had: it is new and random."""
        fingerprint, bucket = self._place(salt)
        self._write(fingerprint, self._own + bucket)

    def _place(self, salt: bytes) -> tuple[int, int]:
        """What a salt is remembered by, and the bucket in each table."""
        digest = int.from_bytes(hashlib.blake2b(salt, digest_size=_CELL, key=self._key).digest(), "little")
        return digest or 1, digest % BUCKETS * _LINE

    def _write(self, fingerprint: int, bucket: int) -> bool:
        """Write it into this bucket of ours; False if it is there."""
        if fingerprint in _fingerprints(self._memory, bucket * _CELL):
            return False
        cells = self._cells
        taken = cells[bucket]
        cells[bucket + 1 + taken % _KEPT] = fingerprint
        cells[bucket] = (taken + 1) & _FULL
        return True


def lone_salts() -> Salts:
    """Salts as a worker without others sees them."""
    fd = create(1)
    try:
        return Salts(fd)
    finally:
        os.close(fd)
