"""The files of the workers' journals: new ones, and those that an earlier daemon left behind."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from vpn.domain.session import Session, first_id
from vpn.proxy.journal import Journal, prepare
from vpn.services.session_spill import Block, SessionSpill

_BLOCK = 2000  # sessions
_AHEAD = 86400.0  # seconds that identifiers may be ahead of the clock and are believed


def begin_journal(directory: Path, number: int, size: int, latest: int) -> int:
    """A new journal for a worker: its descriptor.

    Args:
        number: the worker's.
        size: bytes of its ring.
        latest: the greatest identifier that was given earlier.

    Raises:
        OSError: there is no space for it, or we may not write there.
    """
    path = directory / f"{number}.new"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        prepare(fd, size, latest)
        journal = Journal(fd)
        path.rename(directory / f"{journal.generation:016x}.journal")
        journal.close()
    except OSError:
        path.unlink(missing_ok=True)
        os.close(fd)
        raise
    return fd


class Leftovers:
    """Journals of an earlier daemon, whose workers have ended.

    Args:
        directory: where they lie.
        spill: where their sessions go.
    """

    def __init__(self, directory: Path, spill: SessionSpill) -> None:
        self._directory = directory
        self._spill = spill
        self._log = structlog.get_logger("sessions")
        self.journals: set[int] = set()
        """Those whose files are no more."""
        self.latest = 0
        """The greatest identifier that was given."""

    def gather(self, now: float) -> None:
        """Bring what was not taken to the spill, and remove the files; `now` in seconds since the epoch."""
        for path in sorted(self._directory.glob("*.journal")):
            try:
                self._take(path, now)
            except ValueError:
                self._put_aside(path)
            except OSError as error:
                event = "sessions of an earlier run wait for the next start"
                self._log.error(event, kept=str(path), reason=error.strerror)

    def _take(self, path: Path, now: float) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            journal = Journal(fd)
        finally:
            os.close(fd)
        try:
            journal.check()
            generation = journal.generation
            if journal.latest < first_id(now + _AHEAD):  # or the clock was wrong then
                self.latest = max(self.latest, journal.latest)
            if journal.lost:
                self._log.error("an earlier run has lost sessions", sessions=journal.lost)
            journal.read_to = max(journal.taken, self._spill.end(generation))
            journal.take(min(journal.read_to, journal.written))
            self._move(journal)
        finally:
            journal.close()
        self.journals.add(generation)
        path.unlink()

    def _move(self, journal: Journal) -> None:
        while journal.read_to < journal.written:
            self._append(journal.read(journal.written), journal)
        self._append(journal.read_tail(), journal)

    def _append(self, sessions: list[Session], journal: Journal) -> None:
        left = Block(journal.generation, journal.ends, sessions)
        while left.sessions:
            block, left = left.split(_BLOCK)
            self._spill.append(block, bounded=False)
            journal.take(min(block.end, journal.written))

    def _put_aside(self, path: Path) -> None:
        kept = path.with_suffix(".damaged")
        path.rename(kept)
        self._log.error("a journal of sessions is damaged: some are lost", kept=str(kept))
