"""A supervisor with real workers, and the test as the rest of the daemon."""

from __future__ import annotations

import asyncio
import socket

from tests.support.plane import PASSWORD, login, read_exactly
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy import surroundings
from vpn.proxy.binding import bind
from vpn.proxy.supervisor import Supervisor


class Log:
    def __init__(self):
        self.lines = []

    def log(self, level, event, **fields):
        self.lines.append((level, event, fields))


class Daemon:
    """What the supervisor has around it."""

    def __init__(self, workers, bound=None, max_connections=0, salts=None):
        self.bound = bound or [bind(Inbound("main", "mixed", Endpoint("127.0.0.1", 0)), workers)]
        self.port = self.bound[0].inbound.listen.port
        self.log = Log()
        self.sessions = []
        self.live = {}
        self.attempts = []
        self.supervisor = Supervisor(
            self.bound,
            workers,
            surroundings.Daemon(self.verify, self.attempts.append, self, self.log),
            max_connections=max_connections,
            salts=salts,
        )

    def hear(self, worker, report, ended, journal):
        self.live.update({session.id: session for session in report.live})
        for session in ended:
            self.live.pop(session.id, None)
        self.sessions += ended
        journal.take(journal.read_to)

    def orphans(self, worker):
        live, self.live = self.live, {}
        return list(live.values())

    async def verify(self, user, password, source):
        return await self.answer(user, password)

    async def answer(self, user, password):
        return password == PASSWORD, 1

    def tunnel(self, port, user="alice"):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        try:
            login(client, user)
            client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
            assert read_exactly(client, 10)[1] == 0
        except BaseException:
            client.close()
            raise
        return client


async def until(condition, seconds=10):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what is waited for happens in another process
            await asyncio.sleep(0.01)
