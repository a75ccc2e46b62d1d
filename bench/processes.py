"""The processes of a proxy: starting and ending them, their CPU time and their memory."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 20
END_SECONDS = 15


class NotAvailable(Exception):
    """A proxy does not offer what was asked of it; says why."""


@contextlib.contextmanager
def running(command: Sequence[str], env: Mapping[str, str], directory: Path, address: tuple[str, int]) -> Iterator[int]:
    """Run a proxy, from when it listens; yields its process id. Its output goes to a file in its directory.

    Raises:
        NotAvailable: it ended, or did not listen.
    """
    output = directory / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        _wait_until_listening(process, address, output)
        yield process.pid
    finally:
        _end(process)


def _wait_until_listening(process: subprocess.Popen[bytes], address: tuple[str, int], output: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotAvailable(_reason(output) or f"it ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
            return
        time.sleep(0.02)
    raise NotAvailable(f"it did not listen within {READY_SECONDS} s")


def _reason(output: Path) -> str:
    """What a program said if that is short, or the first line of it that is about an error."""
    text = output.read_text(errors="replace").replace(f"{output.parent}/", "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) <= 3:
        return " ".join(lines)[:300]
    return next((line for line in lines if "error" in line.lower() or "fatal" in line.lower()), lines[-1])[:300]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and those that it started; it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for process in found:  # grows as it goes
        found.extend(children.get(process, ()))
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process tree, with the children that have ended and been waited for."""
    ticks = 0
    for process in tree(root):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(process)[11:15]))
    return ticks / TICKS


def memory_bytes(root: int) -> int:
    """Memory of a process tree, where a page shared by n processes counts a nth for each (PSS)."""
    total = 0
    for process in tree(root):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _stat(process: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (proc(5)); the second may hold spaces."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
