"""The sessions of one worker, as the daemon hears of them: from its journal, and when it has died."""

from __future__ import annotations

import contextlib
import time
from typing import Protocol

from vpn.domain.session import Session
from vpn.proxy.control import Report
from vpn.proxy.journal import Journal, Recorder
from vpn.proxy.logger import Logger

_NOTHING = Report(0, 0, 0, 0)


class SessionSink(Protocol):
    """Who hears of the sessions of all workers."""

    def hear(self, worker: int, report: Report, ended: list[Session], journal: Journal) -> None:
        """What is new: by the report, and those that ended, which `journal` holds up to its `read_to`.

        Once they are safe elsewhere, `journal.take` is to be told. A session may have ended without having been
        in a report.
        """

    def orphans(self, worker: int) -> list[Session]:
        """The worker is gone: its live sessions, as far as they were heard of, and from now on nobody's."""


class JournalReader:
    """Reads one worker's journal, over all processes that write it one after the other.

    Args:
        journal: it has been empty until now.
        number: the worker's.
        sink: who hears of the sessions.
    """

    def __init__(self, journal: Journal, number: int, sink: SessionSink, log: Logger) -> None:
        self.journal = journal
        self._number = number
        self._sink = sink
        self._log = log
        self._heard = 0
        self._lost = 0
        self.unaccounted = 0
        """Sessions that had begun when their process died, and were not heard of."""

    def hear(self, report: Report, until: int) -> None:
        """Pass on what is new about sessions, with those that ended from the journal."""
        journal = self.journal
        ended: list[Session] = []
        with contextlib.suppress(ValueError):
            ended = journal.read(until)
        if journal.read_to < until:
            # Only a defect of ours, or of the memory, could do that: go on behind it.
            event = "a journal of sessions is damaged: some are lost"
            self._log.log(40, event, worker=self._number, bytes=until - journal.read_to)
            journal.read_to = until
        self._heard += len(ended)
        if (lost := journal.lost) > self._lost:
            event = "sessions are lost: the daemon has not looked at them for too long"
            self._log.log(40, event, worker=self._number, sessions=lost - self._lost)
            self._lost = lost
        self._sink.hear(self._number, report, ended, journal)

    def write_off(self) -> None:
        """The process is gone: its last sessions are in the journal, and what was live is closed."""
        journal = self.journal
        self.hear(_NOTHING, journal.written)
        recorder = Recorder(journal)
        now = time.time()
        for session in self._sink.orphans(self._number):
            session.end("closed", "worker_died", now)
            recorder.record(session)
        written = -1
        while written < recorder.settle():  # a part of them, where there are more than there is room for
            written = journal.written
            self.hear(_NOTHING, written)
        recorder.give_up()
        self.hear(_NOTHING, journal.written)
        self._count_missing()

    def _count_missing(self) -> None:
        """Sessions that began in the process that is gone, and of which nobody will hear."""
        missing = max(0, self.journal.begun - self._heard - self.journal.lost - self.unaccounted)
        if missing:
            self.unaccounted += missing
            event = "sessions are unaccounted for: they began just before their worker died"
            self._log.log(40, event, worker=self._number, sessions=missing)
