"""Sessions that ended, from the journals into the store, in batches: nothing lost, nothing twice.

A journal keeps what has been written to it until it is told that this is safe. With the sessions of a batch the
store keeps how far each journal has been stored, in one transaction; so a batch whose outcome was not heard is
written again without harm, by this daemon or by the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from vpn.domain.errors import Unavailable
from vpn.domain.session import Session
from vpn.proxy.journal import Journal, prepare
from vpn.services.live_sessions import LiveSessions
from vpn.settings.sessions import SessionSettings
from vpn.store.sessions import Batch, SessionStore

RETRY = 1.0  # seconds after a batch that could not be written


class SessionWriter:
    """Gathers sessions, and writes them. `run` it, and `close` it at the end.

    Args:
        directory: where the journals lie.
        live: sessions of which something is stored while they last.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        directory: Path,
        store: SessionStore,
        live: LiveSessions,
        settings: SessionSettings,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._store = store
        self._live = live
        self._settings = settings
        self._clock = clock
        self._pending: dict[int, tuple[Journal, list[Session]]] = {}
        self._failed: tuple[list[Batch], list[Journal]] | None = None
        """What could not be written: it is tried again as it is, since it may have been written after all."""
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("sessions")

    async def open(self, workers: int) -> list[int]:
        """Store what an earlier daemon left behind, and begin new journals: a descriptor for each worker."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        await self._store.close_active("daemon_died", self._clock())
        for path in sorted(self._directory.glob("*.journal")):
            await self._finish(path)
        return [self._begin(number) for number in range(workers)]

    def take(self, journal: Journal, sessions: list[Session]) -> None:
        """Write these soon; the journal holds them up to its `read_to`."""
        _, waiting = self._pending.setdefault(journal.generation, (journal, []))
        waiting += sessions
        if sum(len(each) for _, each in self._pending.values()) >= self._settings.batch_size:
            self._wake.set()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        loop = asyncio.get_running_loop()
        checkpoint = loop.time() + self._settings.checkpoint_interval
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.batch_interval):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush()
                if loop.time() >= checkpoint:
                    checkpoint = loop.time() + self._settings.checkpoint_interval
                    await self._store.checkpoint(list(self._live))
            except Unavailable as error:
                self._log.warning("sessions cannot be stored now", reason=error.message)
                await asyncio.sleep(RETRY)

    async def flush(self) -> None:
        """Write everything that waits.

        Raises:
            Unavailable: the store cannot be reached; nothing is lost.
        """
        while self._failed or self._pending:
            batches, journals = self._failed or self._gather()
            self._failed = (batches, journals)
            await self._store.write(batches)
            self._failed = None
            for batch, journal in zip(batches, journals, strict=True):
                journal.take(batch.end)

    async def close(self) -> None:
        """The workers have ended: write the rest. What cannot be written now is at the next start."""
        with contextlib.suppress(Unavailable):
            await self.flush()

    def _gather(self) -> tuple[list[Batch], list[Journal]]:
        pending, self._pending = self._pending, {}
        journals = [journal for journal, _ in pending.values()]
        return [Batch(each.generation, each.read_to, sessions) for each, sessions in pending.values()], journals

    def _begin(self, number: int) -> int:
        path = self._directory / f"{os.getpid()}-{number}.new"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        prepare(fd)
        journal = Journal(fd)
        path.rename(self._directory / f"{journal.generation:016x}.journal")
        journal.close()
        return fd

    async def _finish(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        journal = Journal(fd)
        try:
            journal.read_to = max(journal.taken, await self._store.position(journal.generation))
            sessions = journal.read(journal.written)
            await self._store.write([Batch(journal.generation, journal.read_to, sessions)])
            await self._store.forget(journal.generation)
            path.unlink()  # noqa: ASYNC240 -- quick, and before anybody is served
        finally:
            journal.close()
            os.close(fd)
