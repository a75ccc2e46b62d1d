"""All at a glance, as the API shows it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from pydantic import BaseModel, Field

from vpn.api.schemas.status import UpstreamView, WorkerView
from vpn.api.schemas.system import Resources
from vpn.services.overview import Busy, Counters, Overview, Refusal, WorkerUse


class CountersView(BaseModel):
    """Counters since the daemon started, and how fast they grow; rates are per second, over the last two."""

    time: datetime
    active_sessions: int
    total_sessions: int
    rejected: int
    bytes_sent: int
    bytes_received: int
    rate_sent: float
    rate_received: float
    session_rate: float

    @classmethod
    def of(cls, counters: Counters) -> CountersView:
        """The view of the counters."""
        fields = msgspec.structs.asdict(counters)
        return cls(**fields | {"time": datetime.fromtimestamp(counters.time, UTC)})


class BusyView(BaseModel):
    """A user or a destination; rates are bytes per second."""

    name: str
    sessions: int = Field(description="Live ones.")
    rate_sent: float
    rate_received: float

    @classmethod
    def of(cls, busy: Busy) -> BusyView:
        """The view of one."""
        return cls(**msgspec.structs.asdict(busy))


class RefusalView(BaseModel):
    """A session that was refused by a rule, or because of its destination."""

    time: datetime
    user: str
    source: str
    destination: str
    reason: str
    rule: str

    @classmethod
    def of(cls, refusal: Refusal) -> RefusalView:
        """The view of one."""
        fields = msgspec.structs.asdict(refusal)
        return cls(**fields | {"time": datetime.fromtimestamp(refusal.time, UTC)})


class WorkerUseView(WorkerView):
    """A data-plane process, and what it uses."""

    cpu_percent: float | None = Field(description="100 is one core; null: it is not running.")
    ram_bytes: int | None
    descriptors: int | None
    loop_lag_ms: float | None = Field(description="How late its event loop was at most, lately; null: not known.")

    @classmethod
    def of(cls, worker: WorkerUse) -> WorkerUseView:
        """The view of one."""
        status, use = worker.status, worker.use
        return cls(
            number=status.number,
            pid=status.pid,
            ready=status.ready,
            restarts=status.restarts,
            active_sessions=status.active,
            cpu_percent=use.cpu_percent if use is not None else None,
            ram_bytes=use.memory if use is not None else None,
            # Those of another process may be hidden from us: then it is what it says itself.
            descriptors=(use.descriptors if use is not None else None) or status.fds or None,
            loop_lag_ms=None if worker.lag is None else round(worker.lag * 1000, 3),
        )


class OverviewView(BaseModel):
    """All of it at one moment."""

    status: str = Field(examples=["ok"])
    version: str
    uptime_seconds: float
    counters: CountersView
    resources: Resources
    workers: list[WorkerUseView]
    upstreams: list[UpstreamView]
    users: list[BusyView] = Field(description="The busiest first.")
    destinations: list[BusyView] = Field(description="The busiest first.")
    refusals: list[RefusalView] = Field(description="The newest first.")

    @classmethod
    def of(cls, overview: Overview) -> OverviewView:
        """The view of all of it."""
        return cls(
            status="ok" if overview.healthy else "degraded",
            version=overview.version,
            uptime_seconds=overview.uptime_seconds,
            counters=CountersView.of(overview.counters),
            resources=Resources.of(overview.use, overview.uptime_seconds),
            workers=[WorkerUseView.of(each) for each in overview.workers],
            upstreams=[UpstreamView(**msgspec.structs.asdict(each)) for each in overview.upstreams],
            users=[BusyView.of(each) for each in overview.users],
            destinations=[BusyView.of(each) for each in overview.destinations],
            refusals=[RefusalView.of(each) for each in overview.refusals],
        )
