"""A file that lines are added to, and that is put aside when it is large or old enough.

``access.log`` becomes ``access.log.20261121T203000.123456Z``, and then that with ``.gz``. Who moves or removes the
file, as logrotate does, need not tell: it is noticed. Used by one thread.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

from vpn.settings.logs import AccessLogSettings

_COMPRESSING = ".part"
_FAST = 1  # gzip's level: a fifth larger than the best, in a quarter of the time
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
_COMBINED = re.compile(rb"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000)\]")


class RotatedFile:
    """The file that the settings name.

    Args:
        settings: their `file` is one.
    """

    def __init__(self, settings: AccessLogSettings) -> None:
        assert settings.file is not None
        self._path = settings.file
        self._settings = settings
        self._fd = -1
        self._size = 0
        self._at_line_end = True
        self._began = 0.0
        self._compressing: threading.Thread | None = None
        self.problem: OSError | None = None
        """Why a file could not be compressed; None: nothing is wrong."""

    def write(self, data: bytes, now: float) -> int:
        """Add whole lines, or as much as there is space for; returns how many bytes.

        Raises:
            OSError: nothing can be written.
        """
        if self._fd >= 0 and self._is_elsewhere():
            self.close()
        if self._fd < 0:
            self._open(now)
        if self._at_line_end and self._is_due(len(data), now):
            self._put_aside(now)
        written = os.write(self._fd, data)
        self._size += written
        self._at_line_end = data[written - 1 : written] == b"\n"
        return written

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def finish(self) -> None:
        """Close the file, and wait until what is being compressed is."""
        self.close()
        if self._compressing is not None:
            self._compressing.join()

    def _open(self, now: float) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        status = os.fstat(self._fd)
        self._size = status.st_size
        self._began = _first_moment(self._path, status.st_mtime) if self._size else now
        self._tidy_up()

    def _is_elsewhere(self) -> bool:
        """Whether the file was moved or removed by somebody else."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _is_due(self, more: int, now: float) -> bool:
        largest, oldest = self._settings.max_size, self._settings.max_age
        return self._size > 0 and (0 < largest < self._size + more or 0 < oldest <= now - self._began)

    def _put_aside(self, now: float) -> None:
        moment = datetime.fromtimestamp(now, UTC)
        aside = self._path.with_name(f"{self._path.name}.{moment:%Y%m%dT%H%M%S.%fZ}")
        self._path.rename(aside)
        self.close()
        self._open(now)

    def _tidy_up(self) -> None:
        """Compress what was put aside, and remove what is too much, while the next lines are written."""
        if self._compressing is not None and self._compressing.is_alive():
            return  # what is left is done the next time
        self._compressing = threading.Thread(target=self._tidy, name="access-log", daemon=True)
        self._compressing.start()

    def _tidy(self) -> None:
        try:
            for path in self._aside()[self._settings.keep :]:
                path.unlink(missing_ok=True)
            if self._settings.compress:
                for path in self._aside():
                    if path.suffix != ".gz":
                        _compress(path)
        except OSError as error:
            self.problem = error
        else:
            self.problem = None

    def _aside(self) -> list[Path]:
        """The files that were put aside, the newest first."""
        name = re.compile(re.escape(self._path.name) + r"\.\d{8}T\d{6}\.\d{6}Z(\.gz)?")
        return sorted((path for path in self._path.parent.iterdir() if name.fullmatch(path.name)), reverse=True)


def _compress(path: Path) -> None:
    """Put a compressed file in the place of this one: either of them is there at any time."""
    done, part = path.with_name(f"{path.name}.gz"), path.with_name(path.name + _COMPRESSING)
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with path.open("rb") as plain, open(fd, "wb") as raw, gzip.GzipFile("", "wb", _FAST, raw) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
        part.rename(done)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


def _first_moment(path: Path, otherwise: float) -> float:
    """When the first line of a file was written, in seconds since the epoch."""
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        line = file.readline(2000)
        if (found := _ISO.search(line)) is not None:
            return datetime.fromisoformat(found[0].decode()).timestamp()
        if (found := _COMBINED.search(line)) is not None:
            return datetime.strptime(found[1].decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp()
    return otherwise
