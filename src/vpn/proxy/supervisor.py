"""The daemon's side of the data plane: workers are started, told, heard, and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from vpn.domain.session import Session
from vpn.proxy.binding import Bound
from vpn.proxy.control import Snapshot
from vpn.proxy.worker_process import Logger, Surroundings, WorkerProcess, WorkerStatus

READY_TIMEOUT = 10.0  # seconds new workers have until they listen
APPLY_TIMEOUT = 2.0  # seconds that a change waits for slow workers


class Totals(msgspec.Struct, frozen=True):
    """Counters of all workers since the daemon started, those of dead workers included."""

    opened: int
    active: int
    bytes_sent: int
    bytes_received: int


class Supervisor:
    """Runs the workers of one daemon.

    Args:
        bound: the inbounds with their sockets, which stay open here so that a worker started again gets
            the same ones and no connection queued on them is lost.
        workers: how many.
        verify: answers whether a password is a user's, and for which credential number.
        on_sessions: takes the sessions that ended.
        log: a structured logger.
    """

    def __init__(
        self,
        bound: Sequence[Bound],
        workers: int,
        *,
        verify: Callable[[str, str], Awaitable[tuple[bool, int]]],
        on_sessions: Callable[[list[Session]], None],
        log: Logger,
    ) -> None:
        self._surroundings = Surroundings(list(bound), verify, on_sessions, log)
        self._workers = [WorkerProcess(self._surroundings, number) for number in range(workers)]

    async def start(self, snapshot: Snapshot) -> None:
        """Start all workers, and wait until they listen.

        Raises:
            TimeoutError: one did not get there within ten seconds.
        """
        self._surroundings.snapshot = snapshot
        async with asyncio.timeout(READY_TIMEOUT):
            await asyncio.gather(*(worker.start() for worker in self._workers))

    async def publish(self, snapshot: Snapshot) -> None:
        """Let all workers work from `snapshot`, and wait until they do.

        A worker that is being started gets the newest snapshot anyway; one that hangs is waited for two
        seconds and then left to it.
        """
        self._surroundings.snapshot = snapshot
        waits = [worker.apply(snapshot) for worker in self._workers if worker.alive]
        if waits:
            _, late = await asyncio.wait(waits, timeout=APPLY_TIMEOUT)
            for wait in late:
                wait.cancel()
            if late:
                event = "workers are slow to apply a change"
                self._surroundings.log.log(30, event, workers=len(late), version=snapshot.version)

    def status(self) -> list[WorkerStatus]:
        """Each worker's state."""
        return [worker.status() for worker in self._workers]

    def totals(self) -> Totals:
        """Counters over all workers."""
        reports = [report for worker in self._workers for report in (worker.past, worker.report)]
        return Totals(
            opened=sum(report.opened for report in reports),
            active=sum(worker.report.active for worker in self._workers),
            bytes_sent=sum(report.bytes_sent for report in reports),
            bytes_received=sum(report.bytes_received for report in reports),
        )

    async def stop(self, drain: float) -> None:
        """Accept nothing more, give sessions `drain` seconds to end, then stop all workers."""
        for bound in self._surroundings.bound:
            for sock in bound.sockets:
                sock.close()
        await asyncio.gather(*(worker.stop(drain) for worker in self._workers))

    def kill(self) -> None:
        """Stop all workers at once, for good."""
        for worker in self._workers:
            worker.abort()
