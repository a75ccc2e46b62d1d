"""How long a command of the command line takes against a running daemon, and how soon a daemon is ready."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vpn.api.client import Client
from vpn.api.local import over_unix

VPN = str(Path(sys.executable).with_name("vpn"))
RUNS = 20
TARGETS = {
    "ready, first start": 1.5,
    "ready, later start": 1.5,
    "vpn version": 0.100,
    "vpn users list": 0.100,
    "disabled until cut": 0.100,
}


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
            results["disabled until cut"] = cuts(Path(directory) / "data")
            bare = timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
            results["python -c pass"] = [bare() for _ in range(RUNS)]
        finally:
            stop(daemon)
    return results


def cuts(data_dir: Path) -> list[float]:
    """Seconds from the request that disables a user until his tunnel is closed."""
    client = Client(over_unix(data_dir / "api.sock"))
    listen = client.status()["inbounds"][0]["listen"]
    address = ("127.0.0.1", int(listen.rpartition(":")[2]))
    client.add_user("bench", "s3cret", "", True)
    seconds = []
    with socket.create_server(("127.0.0.1", 0)) as target:
        connect = b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.getsockname()[1].to_bytes(2, "big")
        for _ in range(RUNS):
            client.change_user("bench", {"enabled": True})
            with socket.create_connection(address, timeout=10) as tunnel:
                tunnel.sendall(b"\x05\x01\x02\x01\x05bench\x06s3cret" + connect)
                received = b""
                while len(received) < 14:
                    received += tunnel.recv(14 - len(received))
                began = time.perf_counter()
                client.change_user("bench", {"enabled": False})
                with contextlib.suppress(ConnectionResetError):
                    tunnel.recv(1)
                seconds.append(time.perf_counter() - began)
            target.accept()[0].close()
    return seconds


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
    listen |= {"VPN_PROXY__PRIVATE_DESTINATIONS": "allow"}
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
