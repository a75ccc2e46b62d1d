"""The workers, as the supervisor and the kernel know them."""

from __future__ import annotations

import msgspec

from vpn.proxy.counters import WorkerGauges
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.surroundings import WorkerStatus
from vpn.services import procfs


class WorkerFigures(msgspec.Struct, frozen=True):
    """A worker as a process."""

    number: int
    ready: bool
    restarts: int
    active: int
    memory: int | None = None
    """Bytes; None: it is not there. Likewise the rest."""
    cpu: float | None = None
    state: WorkerGauges | None = None


def read_workers(supervisor: Supervisor) -> list[WorkerFigures]:
    """The workers as processes."""
    states = supervisor.gauges()
    return [_read_worker(each, states.get(each.number)) for each in supervisor.status()]


def _read_worker(status: WorkerStatus, state: WorkerGauges | None) -> WorkerFigures:
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
