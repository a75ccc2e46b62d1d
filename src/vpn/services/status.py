"""How the daemon is."""

from __future__ import annotations

import time

import msgspec

from vpn import __version__
from vpn.proxy.control import UpstreamReport
from vpn.proxy.supervisor import Supervisor, Totals
from vpn.proxy.surroundings import WorkerStatus
from vpn.services.inbounds import InboundService, InboundState
from vpn.store.users import UserStore

_NO_TRAFFIC = Totals(0, 0, 0, 0)


class Status(msgspec.Struct, frozen=True):
    """The daemon at one moment."""

    version: str
    uptime_seconds: float
    healthy: bool
    """Whether every worker serves, and every inbound is served."""
    users: int
    inbounds: list[InboundState]
    workers: list[WorkerStatus]
    totals: Totals
    upstreams: list[UpstreamReport]


class StatusService:
    """Knows how things are; without a data plane, that nothing is served."""

    def __init__(self, users: UserStore, inbounds: InboundService) -> None:
        self._users = users
        self._inbounds = inbounds
        self._supervisor: Supervisor | None = None
        self._started = time.monotonic()

    def watch(self, supervisor: Supervisor) -> None:
        """Speak of this data plane from now on."""
        self._supervisor = supervisor

    @property
    def healthy(self) -> bool:
        """Whether every worker serves, and every inbound is served."""
        if self._supervisor is None or not self._inbounds.in_order:
            return False
        return all(worker.ready for worker in self._supervisor.status())

    @property
    def uptime(self) -> float:
        """Seconds since the daemon started."""
        return time.monotonic() - self._started

    def totals(self) -> Totals:
        """Counters over all workers."""
        return self._supervisor.totals() if self._supervisor else _NO_TRAFFIC

    def workers(self) -> list[WorkerStatus]:
        """Each worker's state."""
        return self._supervisor.status() if self._supervisor else []

    def upstreams(self) -> list[UpstreamReport]:
        """How the upstreams are, over all workers."""
        return self._supervisor.upstreams() if self._supervisor else []

    async def status(self) -> Status:
        """The whole picture."""
        _, users = await self._users.page(offset=0, limit=1)
        return Status(
            version=__version__,
            uptime_seconds=round(self.uptime, 3),
            healthy=self.healthy,
            users=users,
            inbounds=self._inbounds.all(),
            workers=self.workers(),
            totals=self.totals(),
            upstreams=self.upstreams(),
        )
