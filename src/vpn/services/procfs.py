"""Processes, as Linux tells of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_USER_TIME = 11  # of the fields behind the name in /proc/PID/stat: utime, then stime (proc(5))
_PAGES = 21


class Usage(NamedTuple):
    """What a process uses."""

    memory: int
    """Bytes that are resident, those shared with others included."""
    cpu: float
    """Seconds, in user and kernel, up to now."""


def usage(pid: int, proc: Path = PROC) -> Usage | None:
    """What a process uses; None: there is no such process."""
    try:
        line = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = line.rpartition(b")")[2].split()  # the name may have spaces and brackets
    return Usage(
        memory=int(fields[_PAGES]) * _PAGE,
        cpu=(int(fields[_USER_TIME]) + int(fields[_USER_TIME + 1])) / _TICKS,
    )


def open_fds(pid: int, proc: Path = PROC) -> int | None:
    """How many files a process has open; None: it has ended, or they are hidden from us, as without privileges."""
    try:
        found = sum(1 for _ in (proc / str(pid) / "fd").iterdir())
    except OSError:
        return None
    return found - 1 if pid == os.getpid() else found  # looking took one
