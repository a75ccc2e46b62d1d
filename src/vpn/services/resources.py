"""What the machine, the daemon and its workers use: from /proc, without a library for it.

CPU is told since the sample before, so somebody has to take one now and then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from vpn.services import procfs

FRESH = 0.9  # seconds that a sample serves for everybody who asks
_IDLE = (3, 4)  # of the first line of /proc/stat: idle, iowait


class ProcessUse(msgspec.Struct, frozen=True):
    """What one process uses."""

    pid: int
    cpu_percent: float
    """100.0 is one core."""
    memory: int
    """Bytes that are in memory, those shared with others included."""
    descriptors: int | None
    """Open ones; None: we may not look."""


class Use(msgspec.Struct, frozen=True):
    """What is used at one moment. Memory and disk are in bytes."""

    cpu_percent: float
    """Of all cores together."""
    cores: int
    load: tuple[float, float, float]
    """Over 1, 5 and 15 minutes."""
    memory_total: int
    memory_used: int
    disk_total: int
    """Of the file system that the data directory lies on."""
    disk_free: int
    """What is left for us."""
    daemon: ProcessUse
    workers: list[ProcessUse]
    """Those that run."""

    @property
    def memory(self) -> int:
        """Of the daemon and its workers."""
        return self.daemon.memory + sum(each.memory for each in self.workers)

    @property
    def process_cpu_percent(self) -> float:
        """Of the daemon and its workers."""
        return self.daemon.cpu_percent + sum(each.cpu_percent for each in self.workers)


class Resources:
    """Takes samples.

    Args:
        directory: the data directory.
        pids: tells the workers' processes.
        clock: seconds, never set back.
        proc: where the kernel tells.
    """

    def __init__(
        self,
        directory: Path,
        pids: Callable[[], Sequence[int]],
        clock: Callable[[], float],
        proc: Path = procfs.PROC,
    ) -> None:
        self._directory = directory
        self._pids = pids
        self._clock = clock
        self._proc = proc
        self._taken = 0.0
        self._last: Use | None = None
        self._machine = (0, 0)
        self._spent: dict[int, float] = {}  # seconds of CPU, by process
        self._begin = clock()

    def sample(self) -> Use:
        """What is used now, or was a moment ago."""
        now = self._clock()
        if self._last is not None and now - self._taken < FRESH:
            return self._last
        seconds = now - (self._taken if self._last is not None else self._begin)
        busy, total = self._machine_ticks()
        passed = total - self._machine[1]
        percent = 100 * (busy - self._machine[0]) / passed if passed > 0 else 0.0
        self._machine = busy, total
        memory_total, memory_used = self._memory()
        disk = os.statvfs(self._directory)
        before, self._spent = self._spent, {}
        processes = [self._process(pid, before.get(pid), seconds) for pid in (os.getpid(), *self._pids())]
        self._taken = now
        self._last = Use(
            cpu_percent=round(percent, 1),
            cores=os.cpu_count() or 1,
            load=os.getloadavg(),
            memory_total=memory_total,
            memory_used=memory_used,
            disk_total=disk.f_blocks * disk.f_frsize,
            disk_free=disk.f_bavail * disk.f_frsize,
            daemon=processes[0] or ProcessUse(os.getpid(), 0.0, 0, None),
            workers=[each for each in processes[1:] if each is not None],
        )
        return self._last

    def _machine_ticks(self) -> tuple[int, int]:
        """What all cores have been busy, and have been there; in any unit."""
        with open(self._proc / "stat") as file:
            ticks = [int(each) for each in file.readline().split()[1:9]]
        return sum(ticks) - sum(ticks[index] for index in _IDLE), sum(ticks)

    def _memory(self) -> tuple[int, int]:
        lines = (line.split() for line in (self._proc / "meminfo").read_text().splitlines())
        sizes = {line[0]: int(line[1]) * 1024 for line in lines}
        return sizes["MemTotal:"], sizes["MemTotal:"] - sizes["MemAvailable:"]

    def _process(self, pid: int, before: float | None, seconds: float) -> ProcessUse | None:
        usage = procfs.usage(pid, self._proc)
        if usage is None:
            return None  # it has ended meanwhile
        self._spent[pid] = usage.cpu
        spent = 0.0 if before is None else usage.cpu - before
        percent = 100 * spent / seconds if seconds > 0 else 0.0
        return ProcessUse(pid, round(percent, 1), usage.memory, procfs.open_fds(pid, self._proc))
