"""How near a quota ends where it should: ``python -m bench.quota``. It prints by how much it was exceeded, and how
soon a user whose quota was raised has bytes again.

The real daemon with two workers, and clients that read as fast as they can. What was moved is what the workers
counted; clients have got less, by what the sockets held when they were cut.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench import generator
from bench.site import HOST, PASSWORD
from tests.support.books import Books
from tests.support.daemon import Daemon, running_daemon
from vpn.api.client import Client
from vpn.api.local import over_unix

QUOTA = 50_000_000  # bytes
CONNECTIONS = (1, 8)
BOUND = 1 << 20  # bytes by which it may be exceeded
SOON = 0.2  # seconds within which a raised one holds
MORE = 1 << 40  # bytes
PIECE = 1 << 20  # bytes read at a time


class Site:
    """A daemon, and what its users download."""

    def __init__(self, daemon: Daemon, target: generator.Target) -> None:
        self.books = Books(daemon.data_dir)
        self._client = Client(over_unix(daemon.data_dir / "api.sock"))
        self._port = daemon.port
        self._request = b"\x05\x01\x00\x01" + socket.inet_aton(target.host) + target.source.to_bytes(2, "big")
        self._request += bytes(8)  # asks for the stream, from its beginning

    def add(self, user: str) -> None:
        self._client.add_user(user, PASSWORD, {"limits": {"data_limit": str(QUOTA)}})

    def use_up(self, user: str, connections: int) -> int:
        """Download over all these at once until they are cut; returns what clients have got."""
        got = [0] * connections
        ready = threading.Barrier(connections)

        def download(number: int) -> None:
            with self._log_in(user) as client:
                ready.wait()
                got[number] = self._drain(client)

        threads = [threading.Thread(target=download, args=(number,)) for number in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(got)

    def raise_quota(self, user: str) -> tuple[float, float]:
        """Seconds until the change is answered, and from asking for it to the first byte of a new connection."""
        began = time.perf_counter()
        self._client.change_user(user, {"limits": {"data_limit": str(MORE)}})
        answered = time.perf_counter()
        with self._log_in(user) as client:
            client.sendall(self._request)
            heard = 0
            while heard < 11:  # the reply, and a byte
                data = client.recv(11 - heard)
                if not data:
                    raise RuntimeError("the raised quota does not hold")
                heard += len(data)
        return answered - began, time.perf_counter() - began

    def _log_in(self, user: str) -> socket.socket:
        client = socket.create_connection((HOST, self._port), timeout=20)
        name, word = user.encode(), PASSWORD.encode()
        client.sendall(b"\x05\x01\x02\x01" + bytes([len(name)]) + name + bytes([len(word)]) + word)
        heard = b""
        while len(heard) < 4:
            data = client.recv(4 - len(heard))
            if not data:
                break
            heard += data
        if heard != b"\x05\x02\x01\x00":
            client.close()
            raise RuntimeError("not let in")
        return client

    def _drain(self, client: socket.socket) -> int:
        """Bytes up to the end, without the reply."""
        client.sendall(self._request)
        buffer = bytearray(PIECE)
        count = -10
        try:
            while got := client.recv_into(buffer):
                count += got
        except ConnectionResetError:
            pass  # cut
        return max(count, 0)


def measure(site: Site, runs: int) -> Iterator[str]:
    """The rows of the table."""
    for connections in CONNECTIONS:
        for run in range(1, runs + 1):
            user = f"user{connections}-{run}"
            site.add(user)
            got = site.use_up(user, connections)
            exceeded = site.books.counted(user) - QUOTA
            answered, first = site.raise_quota(user)
            cells = (connections, run, f"{exceeded / 1024:+.1f}", f"{got / QUOTA:.1%}")
            yield "| " + " | ".join(map(str, (*cells, f"{answered * 1000:.0f}", f"{first * 1000:.0f}"))) + " |"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each number of connections")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; a quota of {QUOTA // 10**6} MB\n")
    print(f"| connections | run | exceeded by, KiB (≤ {BOUND // 1024}) | clients got | raised after, ms ", end="")
    print(f"| first byte after, ms (< {SOON * 1000:.0f}) |\n|---:|---:|---:|---:|---:|---:|")
    with (
        tempfile.TemporaryDirectory() as directory,
        generator.target(generator.build()) as target,
        running_daemon(Path(directory) / "data", VPN_PROXY__WORKERS="2") as daemon,
    ):
        for row in measure(Site(daemon, target), options.runs):
            print(row, flush=True)


if __name__ == "__main__":
    main()
