"""``python -m bench.storm``: what a good user notices of a storm of wrong passwords.

A storm in a process of its own makes 200 guesses a second; a good user connects all the while: opens the
connection, authenticates, and has a tunnel. Measured is the time of that, with a password that the workers
remember, and with one that they hear for the first time, which costs a verification; who is refused tries again,
and that counts too. So that the storm does not end with everybody banned, bans are put off.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import commands
from tests.support.storm import storm
from vpn.api.client import Client
from vpn.api.local import over_unix

TARGET = 0.100  # seconds, of the 99th percentile
WARM_UP = 30.0  # seconds: by then who storms has failed before, and only then can be told from newcomers
TRIES = 5  # of a good user
PAUSE = 0.02  # seconds between two connections of the good user
PASSWORD = "s3cret"
# Addresses that the storm comes from: some hundred that come again and again, or another one for each guess.
STORMS = {"no storm": 0, "storm from 300 addresses": 300, "storm from 60,000 addresses": 60_000}


@dataclass
class Measured:
    """Connections of good users."""

    seconds: list[float]
    """Of each one that succeeded, from the first try on."""
    again: int = 0
    """Those that were refused at first."""
    failed: int = 0


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What a good user notices of a storm of wrong passwords.")
    parser.add_argument("--rate", type=float, default=200, help="guesses per second")
    parser.add_argument("--connects", type=int, default=500, help="connections with a remembered password")
    parser.add_argument("--users", type=int, default=100, help="users who come for the first time")
    options = parser.parse_args()
    print(
        "| | password | connections | tried again | failed | p50 ms | p99 ms | max ms | target p99 |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for name, sources in STORMS.items():
        for row in measure(name, sources, options):
            print(row, flush=True)


def measure(name: str, sources: int, options: argparse.Namespace) -> Iterator[str]:
    """The rows of one storm, with a daemon of its own."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        os.environ["VPN_BANS__BAN_AFTER"] = "1000"
        daemon, _ = commands.start(directory)
        stack.callback(commands.stop, daemon)
        client = Client(over_unix(Path(directory) / "data/api.sock"))
        port = int(client.status()["inbounds"][0]["listen"].rpartition(":")[2])
        users = [f"user{number}" for number in range(options.users)]
        for user in ("good", *users):
            client.add_user(user, PASSWORD, {})
        target = stack.enter_context(accepting())
        connect(port, "127.8.0.1", "good", target)
        answers = {}
        if sources:
            answers = stack.enter_context(storm(port, options.rate, sources))
            time.sleep(WARM_UP)
        newcomers = zip((f"127.8.1.{number + 1}" for number in itertools.count()), users, strict=False)
        yield row(name, "first heard", timed(lambda each: connect(port, *each, target), newcomers))
        known = itertools.repeat(("127.8.0.1", "good"), options.connects)
        yield row(name, "remembered", timed(lambda each: connect(port, *each, target), known))
    if answers:
        yield f"\n{name}: {dict(answers)}\n"


def timed(action: Callable[[tuple[str, str]], None], whom: Iterator[tuple[str, str]]) -> Measured:
    """Let each connect in turn."""
    measured = Measured([])
    for each in whom:
        began = time.perf_counter()
        for attempt in range(TRIES):
            try:
                action(each)
            except (OSError, ValueError):
                measured.again += attempt == 0
            else:
                measured.seconds.append(time.perf_counter() - began)
                break
        else:
            measured.failed += 1
        time.sleep(PAUSE)
    return measured


def row(name: str, password: str, measured: Measured) -> str:
    """In Markdown, in milliseconds."""
    seconds = measured.seconds
    counts = f"{len(seconds) + measured.failed} | {measured.again} | {measured.failed}"
    if len(seconds) < 2:
        return f"| {name} | {password} | {counts} | | | | |"
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    figures = " | ".join(f"{each * 1000:.1f}" for each in (percentiles[49], percentiles[98], max(seconds)))
    return f"| {name} | {password} | {counts} | {figures} | < {TARGET * 1000:.0f} |"


def connect(port: int, source: str, user: str, target: int) -> None:
    """From nothing to a tunnel.

    Raises:
        ValueError: it was refused.
        OSError: the connection was closed, or nothing came for ten seconds.
    """
    name, password = user.encode(), PASSWORD.encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0)) as client:
        client.sendall(
            b"\x05\x01\x02\x01"
            + (bytes([len(name)]) + name + bytes([len(password)]) + password)
            + (b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.to_bytes(2, "big"))
        )
        heard = b""
        while len(heard) < 14:
            data = client.recv(14 - len(heard))
            if not data:
                raise ValueError("refused")
            heard += data
        if heard[:6] != b"\x05\x02\x01\x00\x05\x00":
            raise ValueError("refused")


@contextmanager
def accepting() -> Iterator[int]:
    """A port where every connection is accepted and closed."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:

        def run() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:  # the end
                    return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


if __name__ == "__main__":
    main()
