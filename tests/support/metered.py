"""Users of a real daemon who move bytes on purpose, and what comes of it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from tests.support.books import Books
from tests.support.clients import CONNECT, connect, read_reply, socks5
from tests.support.daemon import Daemon
from tests.support.plane import login, read_exactly
from tests.support.waiting import until

MIB = 1024 * 1024
PAYLOAD = os.urandom(24 * MIB)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Site:
    """A daemon, and what it has counted."""

    def __init__(self, daemon: Daemon, url: str = "") -> None:
        self.daemon = daemon
        self.books = Books(daemon.data_dir, url)

    def add(self, name: str, *limits: str) -> None:
        """Add a user with these limits."""
        result = self.daemon.vpn("users", "add", name, "--password", "s3cret", *limits)
        assert result.code == 0, result

    def edit(self, name: str, *changes: str) -> None:
        """Change a user."""
        result = self.daemon.vpn("users", "edit", name, *changes)
        assert result.code == 0, result

    def tunnel(self, user: str, port: int) -> socket.socket:
        """A SOCKS5 tunnel."""
        client = connect(self.daemon.port)
        try:
            login(client, user)
            client.sendall(socks5(CONNECT, "127.0.0.1", port))
            assert read_reply(client)[0] == 0
        except BaseException:
            client.close()
            raise
        return client

    @contextlib.contextmanager
    def tunnels(self, user: str, port: int, each: int = 2) -> Iterator[list[socket.socket]]:
        """Tunnels on both workers, so many on each at least."""
        with contextlib.ExitStack() as stack:
            opened: list[socket.socket] = []
            while min(self.books.connections(user)) < each:
                assert len(opened) < 64, "all go to one worker"
                opened.append(stack.enter_context(self.tunnel(user, port)))
            yield opened

    def refused(self, user: str, port: int) -> bool:
        """Whether a new tunnel is."""
        with connect(self.daemon.port) as client:
            login(client, user)
            client.sendall(socks5(CONNECT, "127.0.0.1", port))
            return read_exactly(client, 4)[1] == 2

    def is_cut(self, user: str) -> None:
        """Wait until the user has no connection any more."""
        until(lambda: self.books.connections(user) == [0, 0])


def pour(connection: socket.socket) -> None:
    """Send without end, once asked."""
    connection.recv(1)
    while True:
        connection.sendall(PAYLOAD)


def drain(client: socket.socket) -> int:
    """Ask, and read up to the reset; returns how much it was."""
    count = 0
    try:
        client.sendall(b"?")
        while data := client.recv(1 << 18):
            count += len(data)
    except ConnectionResetError:
        return count
    raise AssertionError("what was cut looks complete")


def at_once(work: Callable[[Item], Result], each: Iterable[Item]) -> list[Result]:
    """Do this with each in a thread of its own; returns what came of it."""
    results: list[Result] = []

    def collect(one: Item) -> None:
        results.append(work(one))

    threads = [threading.Thread(target=partial(collect, one)) for one in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == len(threads), "one hangs, or failed"
    return results
