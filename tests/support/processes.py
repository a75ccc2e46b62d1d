"""What the kernel knows of the sockets of other processes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

CLOSE_WAIT = 8


class Socket(NamedTuple):
    """A row of /proc/net."""

    port: int
    state: int


def sockets(processes: Iterable[int], protocol: str) -> list[Socket]:
    """The sockets of these processes; the protocol is ``tcp`` or ``udp``."""
    held = {link for process in processes for link in _links(process)}
    rows = [
        row.split()
        for table in (protocol, f"{protocol}6")
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return [Socket(int(row[1].rpartition(":")[2], 16), int(row[3], 16)) for row in rows if f"socket:[{row[9]}]" in held]


def descriptors(processes: Iterable[int]) -> int:
    """Open files of these processes together."""
    return sum(len(_links(process)) for process in processes)


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _links(process: int) -> list[str]:
    links = []
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except OSError:
            continue  # closed meanwhile
    return links
