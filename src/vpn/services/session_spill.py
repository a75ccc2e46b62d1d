"""Sessions that wait on disk until they can be stored: a queue of bounded size, in files.

    segment   NUMBER.spill: blocks, one after the other; the files are in the order of their numbers
    block     a head: a mark, the length, how many sessions, of which journal up to where, checksums; and what is in
              it, as msgpack

A block says from which journal (vpn.proxy.journal) its sessions are and where each of them ended there, so that the
store leaves out what it has already: nothing need be written here about what was stored. New blocks go to the last
file; the first one is removed when all of it is stored.

The pages of a file outlive every process. A power cut may cost what the kernel had not written, some thirty seconds:
nothing is synced.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from vpn.domain.session import Session

SEGMENT = 4 * 1024 * 1024
"""Bytes of a file after which the next one begins."""
_NAME = "[0-9]" * 8
_MARK = b"\x93vpnsess"
_HEAD = struct.Struct("<8sIIQQI")  # mark, length, sessions, journal, end, checksum of what follows
_SUM = struct.Struct("<I")  # checksum of all this
_SIZE = _HEAD.size + _SUM.size


class Block(msgspec.Struct, array_like=True, gc=False):
    """Sessions that follow one another in one journal. It is kept in files: new fields come at the end."""

    journal: int
    """Its generation."""
    ends: list[int]
    """Where each session ends there."""
    sessions: list[Session]

    @property
    def end(self) -> int:
        """Where the last one ends."""
        return self.ends[-1]

    def after(self, position: int) -> Block:
        """What ends behind a position."""
        return self.split(bisect_right(self.ends, position))[1]

    def split(self, at: int) -> tuple[Block, Block]:
        """The first so many sessions, and the others."""
        first = Block(self.journal, self.ends[:at], self.sessions[:at])
        return first, Block(self.journal, self.ends[at:], self.sessions[at:])


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Block).decode


class _Head(NamedTuple):
    """What is said of a block before it."""

    length: int
    sessions: int
    journal: int
    end: int
    checksum: int


class _Segment:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.sessions = 0
        self.journals: dict[int, int] = {}
        """How far the journals go of which it has something."""

    def add(self, head: _Head) -> None:
        """It has this block."""
        self.size += _SIZE + head.length
        self.sessions += head.sessions
        self.journals[head.journal] = max(head.end, self.journals.get(head.journal, 0))


class SessionSpill:
    """The queue. `open` it before anything else.

    Args:
        directory: where the files lie.
        most: bytes of all files together.
    """

    def __init__(self, directory: Path, most: int) -> None:
        self._directory = directory
        self._most = most
        self._segments: deque[_Segment] = deque()
        self._next = 1
        self._fd = -1
        """Of the last file, while it is written."""
        self._reading: Iterator[Block] | None = None
        """The blocks of the first file that were not looked at yet, if that is being read."""
        self._first: Block | None = None
        self.lost = 0
        """Sessions that could not be read again."""
        self._log = structlog.get_logger("sessions")

    def open(self) -> None:
        """Find what an earlier daemon left behind."""
        self._segments += [_survey(path) for path in sorted(self._directory.glob(f"{_NAME}.spill"))]
        taken = [path.stem for kind in ("spill", "damaged") for path in self._directory.glob(f"{_NAME}.{kind}")]
        self._next = max(map(int, taken), default=0) + 1

    @property
    def sessions(self) -> int:
        """How many wait here."""
        return sum(segment.sessions for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(segment.size for segment in self._segments)

    def end(self, journal: int) -> int:
        """How far a journal goes of which something waits here; 0: nothing does."""
        return max((segment.journals.get(journal, 0) for segment in self._segments), default=0)

    def journals(self) -> set[int]:
        """Those of which something waits here."""
        return {journal for segment in self._segments for journal in segment.journals}

    def append(self, block: Block, *, bounded: bool = True) -> None:
        """Put a block at the end.

        Args:
            bounded: whether our own bound holds for it.

        Raises:
            OSError: there is no room for it, by our own bound or on the disk.
        """
        body = _encode(block)
        head = _Head(len(body), len(block.sessions), block.journal, block.end, zlib.crc32(body))
        packed = _HEAD.pack(_MARK, *head)
        data = packed + _SUM.pack(zlib.crc32(packed)) + body
        if bounded and self.size + len(data) > self._most:
            raise OSError(errno.ENOSPC, "sessions.spill_size is reached")
        segment = self._last()
        try:
            written = os.write(self._fd, data)
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._fd, segment.size)
            raise
        segment.add(head)

    def first(self) -> Block | None:
        """The block that has waited longest; None: nothing waits.

        Raises:
            OSError: it cannot be read now.
        """
        while self._first is None and self._segments:
            if self._reading is None:
                if len(self._segments) == 1:
                    self.close()  # what comes from now on goes to the next file
                self._reading = self._blocks(self._segments[0].path)
            self._first = next(self._reading, None)
            if self._first is None:
                self._remove()
        return self._first

    def drop(self) -> None:
        """The first block is stored."""
        assert self._first is not None
        self._segments[0].sessions -= len(self._first.sessions)
        self._first = None
        self.first()  # or the journal would seem to wait here still

    def close(self) -> None:
        """Write no more to the last file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _last(self) -> _Segment:
        """The file to write to."""
        if self._fd >= 0 and self._segments[-1].size >= SEGMENT:
            self.close()
        if self._fd < 0:
            path = self._directory / f"{self._next:08}.spill"
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._next += 1
            self._segments.append(_Segment(path))
        return self._segments[-1]

    def _remove(self) -> None:
        """The first file has been read to its end."""
        segment = self._segments.popleft()
        self._reading = None
        if segment.sessions > 0:
            self.lost += segment.sessions
            self._log.error("sessions that waited on disk are lost: they are damaged", sessions=segment.sessions)
        segment.path.unlink(missing_ok=True)  # it was set aside if it is damaged

    def _blocks(self, path: Path) -> Iterator[Block]:
        """The blocks of a file that can be read. If some cannot, it is set aside then."""
        data = path.read_bytes()
        at = damage = 0
        while at < len(data):
            block, size = _block_at(data, at)
            if block is None:
                behind = data.find(_MARK, at + 1)
                size = (behind if behind >= 0 else len(data)) - at
                damage += size
            else:
                yield block
            at += size
        if damage:
            kept = path.with_suffix(".damaged")
            path.rename(kept)
            self._log.error("a file of waiting sessions is damaged", bytes=damage, kept=str(kept))


def _survey(path: Path) -> _Segment:
    """What is in a file, by the heads of its blocks."""
    segment = _Segment(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        while head := _head(file.read(_SIZE)):
            if file.tell() + head.length > size:
                break  # it was cut off
            segment.add(head)
            file.seek(head.length, os.SEEK_CUR)
    segment.size = size
    return segment


def _head(data: bytes) -> _Head | None:
    """A block's head, if it is whole."""
    if len(data) < _SIZE or not data.startswith(_MARK):
        return None
    if zlib.crc32(data[: _HEAD.size]) != _SUM.unpack_from(data, _HEAD.size)[0]:
        return None
    return _Head(*_HEAD.unpack_from(data)[1:])


def _block_at(data: bytes, at: int) -> tuple[Block | None, int]:
    """The block at a place, and its size; None: there is none that can be read."""
    head = _head(data[at : at + _SIZE])
    if head is None:
        return None, 0
    body = data[at + _SIZE : at + _SIZE + head.length]
    if len(body) != head.length or zlib.crc32(body) != head.checksum:
        return None, 0
    try:
        block = _decode(body)
    except msgspec.MsgspecError:  # another version has written it
        return None, 0
    return (block if len(block.ends) == len(block.sessions) > 0 else None), _SIZE + head.length
