"""The load generator: compiled from bench/load/, and run."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).with_name("load")
BUILD = Path(__file__).with_name(".build")
ADDRESSES = 8
"""Addresses that the target listens on: a proxy has 28,000 local ports to each."""
SLACK_SECONDS = 150


class Unusable(Exception):
    """The load generator cannot be built or run."""


@dataclass(frozen=True)
class Outcome:
    """What the load generator counted (bench/load/result.c), and the seconds of CPU that it took itself."""

    counted: dict[str, Any]
    cpu_seconds: float

    @property
    def failures(self) -> int:
        """Of all kinds."""
        return sum(self.counted["failures"].values())


@dataclass(frozen=True)
class Target:
    """What the tunnels lead to."""

    process: int
    host: str
    echo: int
    source: int
    udp: int


def build() -> Path:
    """Compile the load generator unless that is done already; return its path.

    Raises:
        Unusable: there is no compiler, or no OpenSSL to compile against.
    """
    program = BUILD / "load"
    sources = sorted(SOURCES.glob("*.[ch]"))
    if program.exists() and program.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return program
    if not shutil.which("cc"):
        raise Unusable("there is no C compiler; on Debian: apt-get install gcc libc6-dev libssl-dev")
    BUILD.mkdir(exist_ok=True)
    command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), *map(str, SOURCES.glob("*.c")), "-lssl", "-lcrypto"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(f"the load generator does not compile (libssl-dev is needed):\n{done.stderr}")
    return program


@contextlib.contextmanager
def target(program: Path) -> Iterator[Target]:
    """Run what the tunnels lead to."""
    command = [str(program), "target", "--addresses", str(ADDRESSES)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            yield Target(process.pid, ports["host"], ports["echo"], ports["source"], ports["udp"])
        finally:
            process.terminate()


def run(program: Path, arguments: list[str], seconds: float, meanwhile: Callable[[], None] | None = None) -> Outcome:
    """Run one load. ``meanwhile`` is called when all is counted, while `hold` still holds its tunnels.

    Raises:
        Unusable: it did not end in time, or failed.
    """
    command = [str(program), *arguments, "--addresses", str(ADDRESSES), "--seconds", str(seconds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = _line(process, seconds + SLACK_SECONDS)
        if meanwhile:
            meanwhile()
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        process.stdout.close()
    if process.returncode or not line:
        raise Unusable(f"the load generator ended with status {process.returncode}")
    return Outcome(json.loads(line), usage.ru_utime + usage.ru_stime)


def _line(process: subprocess.Popen[str], seconds: float) -> str:
    """The one line that it prints; empty if it ends before."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(seconds):
            raise Unusable(f"the load generator did not answer in {seconds:.0f} s")
    return process.stdout.readline()
