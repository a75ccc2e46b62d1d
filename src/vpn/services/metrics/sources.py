"""Where the figures come from that others count: one place that knows the supervisor, the writer and the rest.

Everything is read at one moment, without waiting, so that what is shown belongs together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from vpn.proxy.binding import Bound
from vpn.proxy.control import UpstreamReport
from vpn.proxy.supervisor import Totals
from vpn.proxy.surroundings import WorkerStatus
from vpn.services import procfs


class Plane(Protocol):
    """The data plane, as a supervisor knows it."""

    @property
    def bound(self) -> list[Bound]:
        """The inbounds that are served."""

    def connections(self, bound: Bound) -> int:
        """Clients of an inbound."""

    def totals(self) -> Totals:
        """Counters over all workers, dead ones included."""

    def status(self) -> list[WorkerStatus]:
        """Each worker's state."""

    def upstreams(self) -> list[UpstreamReport]:
        """How the upstreams are."""


class WorkerCounts(Protocol):
    """What workers count besides sessions, since the daemon started, dead workers included."""

    accepted_remembered: int
    refused_remembered: int
    accepted_asked: int
    refused_asked: int
    refused_unasked: int
    sources_banned: int
    users_banned: int
    accept_pauses: int
    handshake_errors: dict[str, int]
    tls_accepted: int
    tls_failed: int
    allowed_by_rule: int
    allowed_by_default: int
    blocked_by_rule: int
    blocked_by_default: int
    blocked_by_guard: int
    refused_by_limits: int
    lookups: int
    lookups_known: int
    lookups_failed: int
    lookup_seconds: float
    lookup_buckets: list[int]
    """By LOOKUP_TIMES of vpn.monitoring: those up to each bound and above the one before it; the last above all."""
    shaping_waits: int
    shaping_seconds: float
    quota_cuts: int
    sessions_lost: int
    loop_seconds: float


class WorkerState(Protocol):
    """How a worker is at this moment."""

    @property
    def descriptors(self) -> int:
        """Open ones."""

    @property
    def loop_lag(self) -> float:
        """Seconds: the longest turn of the event loop in the time before the last report."""

    @property
    def pipes_in_use(self) -> int:
        """Those of bulk flows."""

    @property
    def sessions_waiting(self) -> int:
        """Sessions that ended and for which the journal has no room now."""


@runtime_checkable
class Counting(Protocol):
    """A data plane whose workers count."""

    def counters(self) -> WorkerCounts:
        """The sums over all workers."""

    def gauges(self) -> Mapping[int, WorkerState]:
        """How the workers are that run, by their number."""


class WriterState(Protocol):
    """How writing sessions stands; what is counted is so since the start."""

    @property
    def waiting(self) -> int:
        """Sessions in memory that are to be stored."""

    @property
    def spilled(self) -> int:
        """Sessions on disk that are to be stored."""

    @property
    def spilled_bytes(self) -> int:
        """Their size."""

    @property
    def lost(self) -> int:
        """Sessions that were not stored and never will be."""

    @property
    def batches(self) -> int:
        """Batches that were stored."""

    @property
    def last_seconds(self) -> float:
        """How long the last one took."""

    @property
    def total_seconds(self) -> float:
        """How long all of them took."""


@runtime_checkable
class Stated(Protocol):
    """A writer that tells how it stands."""

    @property
    def state(self) -> WriterState:
        """At this moment."""


class WorkerFigures(msgspec.Struct, frozen=True):
    """A worker as a process."""

    number: int
    ready: bool
    restarts: int
    active: int
    memory: int | None = None
    """Bytes; None: it is not there, or nobody knows. Likewise the rest."""
    cpu: float | None = None
    state: WorkerState | None = None


def read_counters(plane: Plane) -> WorkerCounts | None:
    """What workers count; None: they do not."""
    return plane.counters() if isinstance(plane, Counting) else None


def read_writer(writer: object) -> WriterState | None:
    """How the writer of sessions stands; None: it does not tell."""
    return writer.state if isinstance(writer, Stated) else None


def read_workers(plane: Plane) -> list[WorkerFigures]:
    """The workers as processes."""
    states = plane.gauges() if isinstance(plane, Counting) else {}
    return [_read_worker(each, states.get(each.number)) for each in plane.status()]


def _read_worker(status: WorkerStatus, state: WorkerState | None) -> WorkerFigures:
    usage = procfs.usage(status.pid) if status.pid else None
    return WorkerFigures(
        number=status.number,
        ready=status.ready,
        restarts=status.restarts,
        active=status.active,
        memory=usage.memory if usage else None,
        cpu=usage.cpu if usage else None,
        state=state,
    )
