"""How long a command of the command line takes against a running daemon, and how soon a daemon is ready."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

VPN = str(Path(sys.executable).with_name("vpn"))
RUNS = 20
TARGETS = {"vpn version": 0.100, "vpn users list": 0.100, "ready, first start": 1.5, "ready, later start": 1.5}


def measure() -> dict[str, list[float]]:
    """Wall seconds of each thing, over several runs."""
    results: dict[str, list[float]] = {"ready, first start": [], "ready, later start": []}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as directory:
            for name in ("ready, first start", "ready, later start"):
                daemon, seconds = start(directory)
                results[name].append(seconds)
                stop(daemon)
    with tempfile.TemporaryDirectory() as directory:
        daemon, _ = start(directory)
        try:
            for arguments in (["version"], ["users", "list"], ["status"], ["users", "show", "me"]):
                command = [VPN, *arguments]
                run = timed(
                    lambda command=command: subprocess.run(
                        command, env=env(directory), check=True, stdout=subprocess.DEVNULL
                    )
                )
                run()  # once, so that everything is in the page cache
                results["vpn " + " ".join(arguments)] = [run() for _ in range(RUNS)]
            bare = timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
            results["python -c pass"] = [bare() for _ in range(RUNS)]
        finally:
            stop(daemon)
    return results


def table(results: dict[str, list[float]]) -> str:
    """The results in Markdown, in milliseconds."""
    lines = ["| what | median ms | min | max | runs | target |", "|---|---|---|---|---|---|"]
    for name, seconds in results.items():
        target = f"< {TARGETS[name] * 1000:.0f}" if name in TARGETS else ""
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        lines.append(
            f"| {name} | {middle * 1000:.0f} | {low * 1000:.0f} | {high * 1000:.0f} | {len(seconds)} | {target} |"
        )
    return "\n".join(lines)


def timed(action: Callable[[], object]) -> Callable[[], float]:
    """The action, as something that returns how many seconds it took."""

    def run() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return run


def env(directory: str) -> dict[str, str]:
    """An environment with a data directory of our own."""
    listen = {"VPN_PROXY__LISTEN": "127.0.0.1:0", "VPN_API__LISTEN": "127.0.0.1:0", "VPN_LOG__LEVEL": "error"}
    return os.environ | listen | {"VPN_DATA_DIR": f"{directory}/data"}


def start(directory: str) -> tuple[subprocess.Popen[str], float]:
    """A daemon, and the seconds until it announced itself."""
    began = time.perf_counter()
    daemon = subprocess.Popen([VPN, "serve"], env=env(directory), stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    for line in daemon.stdout:
        if line.startswith("Stop with"):
            return daemon, time.perf_counter() - began
    raise RuntimeError("the daemon did not start")


def stop(daemon: subprocess.Popen[str]) -> None:
    """End it, and wait."""
    daemon.terminate()
    daemon.communicate(timeout=20)
