"""The daemon's state, as the API shows it."""

from __future__ import annotations

from typing import Literal

import msgspec
from pydantic import BaseModel, Field

from vpn.api.schemas.health import PartView
from vpn.api.schemas.inbounds import InboundView
from vpn.services.status import Status


class Alive(BaseModel):
    """That the daemon is there, and whether it is well."""

    status: Literal["ok", "degraded"] = Field(description="`degraded`: a part of it is not well just now.")
    version: str = Field(examples=["0.1.0"])
    uptime_seconds: float


class Health(Alive):
    """The same, part by part."""

    parts: dict[str, PartView]


class WorkerView(BaseModel):
    """A data-plane process."""

    number: int
    pid: int
    ready: bool
    restarts: int
    active_sessions: int


class UpstreamView(BaseModel):
    """A parent proxy; counted since the workers started."""

    name: str = Field(examples=["paris"])
    healthy: bool
    opened: int = Field(description="Connections made to it.")
    reused: int = Field(description="Connections that were ready before they were needed.")
    failed: int = Field(description="How often it could not be reached, or refused us.")
    idle: int = Field(description="Connections that are ready now.")
    evicted: int = Field(description="Connections that were closed unused, to make room.")


class StatusView(Alive):
    """The daemon, its inbounds and its workers."""

    users: int
    sessions_total: int = Field(description="Sessions since the daemon started, refused ones included.")
    active_sessions: int
    bytes_sent: int = Field(description="From clients to destinations, since the daemon started.")
    bytes_received: int = Field(description="From destinations to clients, since the daemon started.")
    inbounds: list[InboundView]
    workers: list[WorkerView]
    upstreams: list[UpstreamView]

    @classmethod
    def of(cls, status: Status) -> StatusView:
        """The view of a status."""
        return cls(
            status="ok" if status.healthy else "degraded",
            version=status.version,
            uptime_seconds=status.uptime_seconds,
            users=status.users,
            sessions_total=status.totals.opened,
            active_sessions=status.totals.active,
            bytes_sent=status.totals.bytes_sent,
            bytes_received=status.totals.bytes_received,
            inbounds=[InboundView.of(each) for each in status.inbounds],
            workers=[
                WorkerView(
                    number=each.number,
                    pid=each.pid,
                    ready=each.ready,
                    restarts=each.restarts,
                    active_sessions=each.active,
                )
                for each in status.workers
            ],
            upstreams=[UpstreamView(**msgspec.structs.asdict(each)) for each in status.upstreams],
        )
