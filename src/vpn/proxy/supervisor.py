"""The daemon's side of the data plane: workers are started, told, heard, and started again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import reduce
from itertools import count
from typing import NamedTuple

import msgspec

from vpn.proxy import journal, limits
from vpn.proxy import salts as used
from vpn.proxy.binding import Bound
from vpn.proxy.control import NO_RULES, Bans, Cut, Rules, Snapshot, Tracing, UpstreamReport, merge_upstreams
from vpn.proxy.counters import WorkerCounters, WorkerGauges, added
from vpn.proxy.meter import Meter, prepare
from vpn.proxy.shaper import Shaper
from vpn.proxy.surroundings import Daemon, Surroundings, WorkerStatus
from vpn.proxy.worker_process import WorkerProcess

READY_TIMEOUT = 10.0  # seconds new workers have until they listen
APPLY_TIMEOUT = 2.0  # seconds that a change waits for slow workers


class Totals(msgspec.Struct, frozen=True):
    """Counters of all workers since the daemon started, those of dead workers included."""

    opened: int
    active: int
    bytes_sent: int
    bytes_received: int
    lost: int = 0
    """Sessions for which there was no room while the daemon did not listen."""
    unaccounted: int = 0
    """Sessions that had begun when their worker died, and were not heard of."""


class Closed(NamedTuple):
    """What came of closing live sessions."""

    sessions: int
    """How many were closed."""
    silent: int
    """Workers that have not answered: they close theirs when they are awake again."""


class Supervisor:
    """Runs the workers of one daemon.

    Args:
        bound: the inbounds with their sockets, which stay open here so that a worker started again gets
            the same ones and no connection queued on them is lost.
        workers: how many.
        daemon: whom workers turn to.
        max_connections: clients at once, over all inbounds and workers; 0: no limit.
        meter: descriptor of a file prepared by vpn.proxy.meter, the supervisor's from now on; None: what users
            move is forgotten with the process.
        journals: descriptors of files prepared by vpn.proxy.journal, one for each worker, the supervisor's from now
            on; None: sessions that were not heard of are forgotten with the process.
        salts: descriptor of a file opened by vpn.proxy.salts, the supervisor's from now on; None: which ones were used
            is forgotten with the process.
    """

    def __init__(
        self,
        bound: Sequence[Bound],
        workers: int,
        daemon: Daemon,
        *,
        max_connections: int = 0,
        meter: int | None = None,
        journals: list[int] | None = None,
        salts: int | None = None,
    ) -> None:
        self._memory = limits.create(workers)
        self._counters = limits.Counters(self._memory)
        self._metered = os.memfd_create("vpn-meter") if meter is None else meter
        if meter is None:
            prepare(self._metered, workers)
        self.meter = Meter(self._metered)
        """What users have moved."""
        self._salts = used.create(workers) if salts is None else salts
        self._journals = journals or [_journal() for _ in range(workers)]
        self.shaper = Shaper(self.meter, daemon.log)
        self._surroundings = Surroundings(
            [],
            daemon,
            self._memory,
            self._counters,
            self._metered,
            self.meter,
            self._journals,
            self._salts,
            self.shaper.wake,
            max_connections=max_connections,
        )
        self._numbers = count(1)
        self._cuts = count(1)
        self._add(bound)
        self._workers = [WorkerProcess(self._surroundings, number) for number in range(workers)]

    async def start(self, snapshot: Snapshot, rules: Rules = NO_RULES) -> None:
        """Start all workers, and wait until they listen.

        Raises:
            TimeoutError: one did not get there within ten seconds.
        """
        self._surroundings.snapshot = snapshot
        self._surroundings.rules = rules
        self.shaper.start()
        async with asyncio.timeout(READY_TIMEOUT):
            await asyncio.gather(*(worker.start() for worker in self._workers))

    async def publish(self, snapshot: Snapshot) -> None:
        """Let all workers work from `snapshot`, and wait until they do.

        A worker that is being started gets the newest snapshot anyway; one that hangs is waited for two
        seconds and then left to it.
        """
        self._surroundings.snapshot = snapshot
        await self._tell(snapshot)

    async def publish_rules(self, rules: Rules) -> None:
        """Let all workers work by these rules, and wait until they do, as `publish` does."""
        self._surroundings.rules = rules
        await self._tell(rules)

    async def _tell(self, message: Snapshot | Rules) -> None:
        waits = [worker.apply(message) for worker in self._workers if worker.alive]
        if waits:
            _, late = await asyncio.wait(waits, timeout=APPLY_TIMEOUT)
            for wait in late:
                wait.cancel()
            if late:
                event = "workers are slow to apply a change"
                self._surroundings.daemon.log.log(30, event, workers=len(late), version=message.version)

    async def ban(self, bans: Bans) -> None:
        """Let all workers turn away these and no others, and return when they do, or two seconds have passed."""
        self._surroundings.bans = bans
        waits = [worker.ban(bans) for worker in self._workers if worker.alive]
        if waits:
            await asyncio.wait(waits, timeout=APPLY_TIMEOUT)

    def trace(self, ratio: float) -> None:
        """Let all workers note the steps of so many of the sessions that begin from now on: 0.0 none, 1.0 all."""
        self._surroundings.tracing = tracing = Tracing(ratio)
        for worker in self._workers:
            if worker.alive:
                worker.trace(tracing)

    async def cut(self, reason: str, *, ids: Sequence[int] = (), user: str = "", destination: str = "") -> Closed:
        """Close live sessions: those named, and those of this user to this destination (vpn.proxy.control.Cut).

        Workers are waited for two seconds.
        """
        message = Cut(next(self._cuts), reason, list(ids), user, destination)
        waits = [worker.cut(message) for worker in self._workers if worker.alive]
        if not waits:
            return Closed(0, 0)
        done, late = await asyncio.wait(waits, timeout=APPLY_TIMEOUT)
        for wait in late:
            wait.cancel()
        return Closed(sum(wait.result() for wait in done), len(late))

    async def awake(self, patience: float) -> set[int]:
        """The numbers of the workers that answer within `patience` seconds: a process may be there, and hang."""
        probes = [
            (number, worker.probe(next(self._cuts))) for number, worker in enumerate(self._workers) if worker.alive
        ]
        if probes:
            await asyncio.wait([probe for _, probe in probes], timeout=patience)
        return {number for number, probe in probes if probe.done() and self._workers[number].alive}

    @property
    def bound(self) -> list[Bound]:
        """The inbounds that are served."""
        return list(self._surroundings.bound)

    async def listen(self, bound: Sequence[Bound], *, max_connections: int, drain: float) -> None:
        """Serve these inbounds and no others, and return when that is in force.

        Those that were served before go on undisturbed. Clients of one that is gone have `drain` seconds.
        """
        gone = [each for each in self._surroundings.bound if each not in bound]
        self._surroundings.bound = [each for each in bound if each in self._surroundings.bound]
        self._add([each for each in bound if each not in self._surroundings.bound])
        self._surroundings.max_connections = max_connections
        waits = [worker.listen(drain) for worker in self._workers if worker.alive]
        for each in gone:
            each.close()
        if waits:
            await asyncio.wait(waits, timeout=APPLY_TIMEOUT)

    def connections(self, bound: Bound) -> int:
        """Clients of an inbound, over all workers."""
        return self._counters.total(bound.column)

    def _add(self, bound: Sequence[Bound]) -> None:
        """Number inbounds that are new, and find them columns in which nothing is counted any more.

        Where all others still hold clients of inbounds that are gone, one of these is taken: there are more columns
        than inbounds.
        """
        for each in bound:
            used = {other.column for other in self._surroundings.bound}
            free = [column for column in range(1, limits.COLUMNS) if column not in used]
            each.number = next(self._numbers)
            each.column = next((column for column in free if not self._counters.total(column)), free[0])
            self._surroundings.bound.append(each)
        self._number_packets()

    def _number_packets(self) -> None:
        """Number sockets for datagrams that are new, of inbounds that may be older."""
        for each in self._surroundings.bound:
            if each.packets is not None and not each.packets_number:
                each.packets_number = next(self._numbers)

    def upstreams(self) -> list[UpstreamReport]:
        """How the upstreams are, over all workers: one is healthy if a worker finds it so."""
        found: dict[str, list[UpstreamReport]] = {}
        for worker in self._workers:
            for each in worker.report.upstreams:
                found.setdefault(each.name, []).append(each)
        for worker in self._workers:
            for each in worker.past.upstreams:
                if each.name in found:  # else it is not in the settings any more
                    found[each.name].append(each)
        return [merge_upstreams(each) for each in found.values()]

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
            lost=sum(worker.sessions.journal.lost for worker in self._workers),
            unaccounted=sum(worker.sessions.unaccounted for worker in self._workers),
        )

    def counters(self) -> WorkerCounters:
        """What all workers have counted since the daemon started, those that died included."""
        reports = [report for worker in self._workers for report in (worker.past, worker.report)]
        return reduce(added, (report.counters for report in reports), WorkerCounters())

    def gauges(self) -> dict[int, WorkerGauges]:
        """How the workers are that run, by their number."""
        return {number: worker.report.gauges for number, worker in enumerate(self._workers) if worker.alive}

    async def stop(self, drain: float) -> None:
        """Accept nothing more, give sessions `drain` seconds to end, then stop all workers."""
        for bound in self._surroundings.bound:
            bound.close()
        await asyncio.gather(*(worker.stop(drain) for worker in self._workers))

    def kill(self) -> None:
        """Stop all workers at once, for good."""
        self.shaper.stop()
        for worker in self._workers:
            worker.abort()
        if self._memory >= 0:
            os.close(self._memory)
            os.close(self._metered)
            os.close(self._salts)
            for each in self._journals:
                os.close(each)
            self._memory = -1


def _journal() -> int:
    fd = os.memfd_create("vpn-journal")
    journal.prepare(fd)
    return fd
