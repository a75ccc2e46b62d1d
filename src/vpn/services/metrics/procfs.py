"""Processes, as Linux tells of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_USER_TIME = 11  # of the fields behind the name in /proc/PID/stat: utime, then stime (proc(5))
_PAGES = 21


class Usage(NamedTuple):
    """What a process uses."""

    memory: int
    """Bytes that are resident."""
    cpu: float
    """Seconds, in user and kernel, up to now."""


def usage(pid: int) -> Usage | None:
    """What a process uses; None: there is no such process."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = line.rpartition(b")")[2].split()  # the name may have spaces and brackets
    return Usage(
        memory=int(fields[_PAGES]) * _PAGE,
        cpu=(int(fields[_USER_TIME]) + int(fields[_USER_TIME + 1])) / _TICKS,
    )


def open_fds() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
