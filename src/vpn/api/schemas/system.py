"""What the machine, the daemon and the upstreams do, as the API shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vpn.services.diagnostics import Attempt
from vpn.services.metrics_history import Point
from vpn.services.pool import PoolState, UpstreamPool
from vpn.services.resources import ProcessUse, Use


class ProcessView(BaseModel):
    """What one process uses."""

    pid: int
    cpu_percent: float = Field(description="100 is one core.")
    ram_bytes: int
    descriptors: int | None = Field(description="Open ones; null: they are hidden from the daemon.")

    @classmethod
    def of(cls, use: ProcessUse) -> ProcessView:
        """The view of a process."""
        return cls(pid=use.pid, cpu_percent=use.cpu_percent, ram_bytes=use.memory, descriptors=use.descriptors)


class Resources(BaseModel):
    """What is used at one moment, CPU since the look before."""

    system_cpu_percent: float = Field(description="Of all cores together.")
    system_cores: int
    system_ram_percent: float
    system_ram_total_bytes: int
    system_ram_used_bytes: int
    process_cpu_percent: float = Field(description="Of the daemon and its workers; 100 is one core.")
    process_ram_bytes: int = Field(description="Of the daemon and its workers; what they share is counted for each.")
    load_average_1m: float
    load_average_5m: float
    load_average_15m: float
    disk_total_bytes: int = Field(description="Of the file system that the data directory lies on.")
    disk_free_bytes: int
    uptime_seconds: float
    daemon: ProcessView
    workers: list[ProcessView]

    @classmethod
    def of(cls, use: Use, uptime: float) -> Resources:
        """The view of what is used."""
        return cls(
            system_cpu_percent=use.cpu_percent,
            system_cores=use.cores,
            system_ram_percent=round(100 * use.memory_used / use.memory_total, 1),
            system_ram_total_bytes=use.memory_total,
            system_ram_used_bytes=use.memory_used,
            process_cpu_percent=round(use.process_cpu_percent, 1),
            process_ram_bytes=use.memory,
            load_average_1m=round(use.load[0], 2),
            load_average_5m=round(use.load[1], 2),
            load_average_15m=round(use.load[2], 2),
            disk_total_bytes=use.disk_total,
            disk_free_bytes=use.disk_free,
            uptime_seconds=round(uptime, 3),
            daemon=ProcessView.of(use.daemon),
            workers=[ProcessView.of(each) for each in use.workers],
        )


class PoolSettingsView(BaseModel):
    """How many connections are kept ready, in each worker."""

    enabled: bool
    max_idle_per_dest: int
    max_total_idle: int
    idle_timeout_secs: float
    connect_timeout_ms: int


class UpstreamPoolView(BaseModel):
    """The pool of one upstream, over all workers; counted since they started."""

    destination: str = Field(description="The upstream's name.", examples=["paris"])
    healthy: bool
    idle_connections: int
    in_use: int = Field(description="Live sessions that go through it.")
    total_created: int
    total_reused: int = Field(description="Connections that were ready before they were needed.")
    pool_hits: int
    pool_misses: int = Field(description="Connections that a client had to wait for.")
    evicted: int = Field(description="Closed unused, to make room.")
    failed: int = Field(description="How often it could not be reached, or refused us.")

    @classmethod
    def of(cls, pool: UpstreamPool) -> UpstreamPoolView:
        """The view of one pool."""
        report = pool.report
        return cls(
            destination=report.name,
            healthy=report.healthy,
            idle_connections=report.idle,
            in_use=pool.in_use,
            total_created=report.opened,
            total_reused=report.reused,
            pool_hits=report.reused,
            pool_misses=pool.on_demand,
            evicted=report.evicted,
            failed=report.failed,
        )


class PoolStats(BaseModel):
    """Connections to upstreams that are made before they are needed. A connection serves one client only."""

    enabled: bool
    total_idle: int
    active_in_use: int
    destinations: int = Field(description="Upstreams.")
    total_created: int
    total_reused: int
    pool_hits: int
    pool_misses: int
    evicted: int
    hit_rate: float = Field(description="Of 1.")
    config: PoolSettingsView
    destinations_breakdown: list[UpstreamPoolView]

    @classmethod
    def of(cls, state: PoolState) -> PoolStats:
        """The view of all pools."""
        rows = [UpstreamPoolView.of(each) for each in state.upstreams]
        settings = state.settings
        enabled = bool(settings.upstreams) and settings.pool.max_idle_per_upstream > 0
        hits, misses = sum(each.pool_hits for each in rows), sum(each.pool_misses for each in rows)
        return cls(
            enabled=enabled,
            total_idle=sum(each.idle_connections for each in rows),
            active_in_use=sum(each.in_use for each in rows),
            destinations=len(rows),
            total_created=sum(each.total_created for each in rows),
            total_reused=sum(each.total_reused for each in rows),
            pool_hits=hits,
            pool_misses=misses,
            evicted=sum(each.evicted for each in rows),
            hit_rate=round(hits / (hits + misses), 4) if hits + misses else 0.0,
            config=PoolSettingsView(
                enabled=enabled,
                max_idle_per_dest=settings.pool.max_idle_per_upstream,
                max_total_idle=settings.pool.max_idle,
                idle_timeout_secs=settings.pool.idle_timeout,
                connect_timeout_ms=round(settings.connect_timeout * 1000),
            ),
            destinations_breakdown=rows,
        )


class HistoryPoint(BaseModel):
    """How it was at one moment; totals are since the daemon started."""

    timestamp: datetime
    active_sessions: int
    total_sessions: int
    rejected: int
    bytes_sent: int
    bytes_received: int
    bandwidth: int = Field(description="Bytes in both directions, since the daemon started.")
    memory: int = Field(description="Bytes, of the daemon and its workers.")
    cpu: float = Field(description="Percent, of the daemon and its workers; 100 is one core.")

    @classmethod
    def of(cls, point: Point) -> HistoryPoint:
        """The view of a point."""
        return cls.model_construct(
            timestamp=datetime.fromtimestamp(point.timestamp, UTC),
            active_sessions=round(point.active_sessions),
            total_sessions=int(point.total_sessions),
            rejected=int(point.rejected),
            bytes_sent=int(point.bytes_sent),
            bytes_received=int(point.bytes_received),
            bandwidth=int(point.bytes_sent + point.bytes_received),
            memory=int(point.memory),
            cpu=round(point.cpu, 1),
        )


class Destination(BaseModel):
    """What to try to reach."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"address": "example.com", "port": 443, "timeout_ms": 3000}]}
    )
    address: Annotated[str, Field(min_length=1, max_length=255)] = Field(description="A name or an IP address.")
    port: int = Field(ge=1, le=65535)
    timeout_ms: int = Field(3000, ge=1, le=30_000)


class Connectivity(BaseModel):
    """How it went."""

    address: str
    port: int
    success: bool
    latency_ms: float | None = Field(description="Until the connection was made; null: nothing was connected to.")
    message: str
    error: str | None = Field(description="Short and stable, for programs.", examples=["timeout", "connection_refused"])

    @classmethod
    def of(cls, destination: Destination, attempt: Attempt) -> Connectivity:
        """The view of an attempt."""
        return cls(address=destination.address, port=destination.port, **attempt._asdict())
