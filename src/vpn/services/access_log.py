"""The access log: a line for each session that ended, written by a thread, so that nobody waits for a disk.

What cannot be written is kept for a while and tried again; of what comes meanwhile, the oldest is kept, and how
many lines were left out is said afterwards.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import structlog

from vpn.domain.session import Session
from vpn.services.access_lines import FORMATS
from vpn.services.live_sessions import News
from vpn.services.rotated_file import RotatedFile
from vpn.settings.logs import AccessLogSettings

MOST_WAITING = 50_000  # sessions
AT_ONCE = 1000  # lines in one write
RETRY = 1.0  # seconds after what could not be written
PATIENCE = 5.0  # seconds that the rest may take at the end


class AccessLog:
    """Observes sessions. `configure` it, and `close` it at the end.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._settings = AccessLogSettings()
        self._writer: _Writer | None = None

    def configure(self, settings: AccessLogSettings) -> None:
        """Write as these settings say, from now on; the file is opened anew in any case."""
        if self._writer is not None and settings == self._settings:
            self._writer.reopen()
            return
        self._settings = settings
        if self._writer is not None:
            threading.Thread(target=self._writer.close, name="access-log-end", daemon=True).start()
        self._writer = _Writer(settings, self._clock) if settings.file is not None else None

    def reopen(self) -> None:
        """Open the file anew, for it may have been moved."""
        if self._writer is not None:
            self._writer.reopen()

    def hear(self, news: News) -> None:
        """Write a line for each session that ended."""
        if self._writer is not None and news.ended:
            self._writer.put([change.session for change in news.ended])

    def close(self) -> None:
        """Write what waits, as far as it can be written within five seconds."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _Writer:
    """The thread, and what waits for it."""

    def __init__(self, settings: AccessLogSettings, clock: Callable[[], float]) -> None:
        self._file = RotatedFile(settings)
        self._path = str(settings.file)
        self._line = FORMATS[settings.format]
        self._clock = clock
        self._waiting: deque[Session] = deque()
        self._left_out = 0
        self._rest = b""
        self._broken = False
        self._reopen = False
        self._closing = False
        self._wake = threading.Condition()
        self._log = structlog.get_logger("access")
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def put(self, sessions: list[Session]) -> None:
        with self._wake:
            space = max(0, MOST_WAITING - len(self._waiting))
            self._left_out += max(0, len(sessions) - space)
            self._waiting += sessions[:space]
            self._wake.notify()

    def reopen(self) -> None:
        with self._wake:
            self._reopen = True
            self._wake.notify()

    def close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(PATIENCE)
        if self._rest or self._waiting:
            self._log.warning("the last lines of the access log are lost", file=self._path)

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._closing:
                    if self._rest:
                        self._wake.wait(RETRY)
                    elif not (self._waiting or self._reopen):
                        self._wake.wait()
                taken = self._take()
                reopen, self._reopen = self._reopen, False
                ending = self._closing and not self._waiting
            if reopen:
                self._file.close()
            self._rest += b"".join(map(self._line, taken))
            if self._rest:
                self._write()
            if ending or (self._closing and self._broken):
                break
        self._file.finish()

    def _take(self) -> list[Session]:
        """What is to be written next; while something cannot be written, nothing."""
        if self._rest:
            return []
        return [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]

    def _write(self) -> None:
        try:
            written = self._file.write(self._rest, self._clock())
            self._rest = self._rest[written:]
        except OSError as error:
            self._file.close()
            if not self._broken:
                self._broken = True
                hint = "is there space, and may we write there? it is tried again"
                self._log.error("the access log cannot be written", file=self._path, reason=error.strerror, hint=hint)
            return
        if self._broken and not self._rest:
            self._broken = False
            self._log.warning("the access log is written again", file=self._path)
        if self._left_out and not self._waiting:
            with self._wake:
                left_out, self._left_out = self._left_out, 0
            self._log.warning("lines of the access log were left out", file=self._path, lines=left_out)
        if self._file.problem is not None:
            problem, self._file.problem = self._file.problem, None
            self._log.warning("the access log cannot be tidied up", file=self._path, reason=problem.strerror)
