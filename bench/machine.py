"""The machine that is measured on: its description, and what would make its figures mislead."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CONNTRACK = Path("/proc/sys/net/netfilter/nf_conntrack_count")
FILES_BESIDES = 500
"""Open files of a proxy besides two for each tunnel."""
TRACKED_AT_MOST = 200
"""More tracked connections than this after a run of thousands: our own are among them."""


class Misleading(Exception):
    """The figures would not be what they seem."""


@dataclass(frozen=True)
class CPUClock:
    """Seconds that all cores have spent, and seconds of them at work."""

    total: float
    busy: float


def description() -> dict[str, str]:
    """What a reader must know of the machine, in order."""
    return {
        "processor": f"{_field('/proc/cpuinfo', 'model name') or platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"Linux {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "open files": f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,} per process",
    }


def revision() -> str:
    """Which commit is measured."""
    command = ["git", "describe", "--always", "--dirty", "--tags"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def raise_file_limit(tunnels: int) -> None:
    """Let this process and its children open as many files as may be.

    Raises:
        Misleading: that is too few for so many held tunnels.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < 2 * tunnels + FILES_BESIDES:
        raise Misleading(
            f"A proxy that holds {tunnels:,} tunnels opens {2 * tunnels + FILES_BESIDES:,} files, and {most:,} are "
            f"allowed: raise the limit (ulimit -Hn), or hold fewer (--tunnels {(most - FILES_BESIDES) // 2})."
        )


def tracked_connections() -> int:
    """Connections that the kernel tracks; 0 where it tracks none."""
    try:
        return int(CONNTRACK.read_text())
    except OSError:
        return 0


def refuse_tracking(before: int) -> None:
    """Compare with the count before a load that opened thousands of connections.

    Raises:
        Misleading: they are tracked.
    """
    more = tracked_connections() - before
    if more > TRACKED_AT_MOST:
        raise Misleading(
            f"The kernel tracks connections ({more:,} more than before): its table fills in seconds at these rates, "
            "and packets are dropped. Some NAT or stateful firewall rule turns it on (often Docker's); end that first."
        )


def cpu_clock() -> CPUClock:
    """The clock of all cores now (proc(5), /proc/stat)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    ticks = os.sysconf("SC_CLK_TCK")
    return CPUClock(sum(fields) / ticks, (sum(fields) - idle) / ticks)


def busy_share(seconds: float = 1) -> float:
    """How busy all cores are with other things, before anything is measured."""
    before = cpu_clock()
    time.sleep(seconds)
    after = cpu_clock()
    return (after.busy - before.busy) / max(after.total - before.total, 0.01)


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
