"""The figures of the data plane."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from vpn.domain.inbound import Inbound
from vpn.monitoring import plane_families as table
from vpn.proxy.control import UpstreamReport
from vpn.proxy.counters import WorkerCounters
from vpn.services.metrics.sheet import Sheet, histogram_of
from vpn.services.metrics.sources import WorkerFigures
from vpn.services.metrics.steady import Steady


def put_counters(sheet: Sheet, counted: WorkerCounters) -> None:
    """What workers count besides sessions."""
    for result, source, count in (
        ("accepted", "remembered", counted.accepted_remembered),
        ("accepted", "asked", counted.accepted_asked),
        ("refused", "remembered", counted.refused_remembered),
        ("refused", "asked", counted.refused_asked),
        ("refused", "unasked", counted.refused_unasked),
    ):
        sheet.put(table.AUTHENTICATIONS, count, result, source)
    for reason, count in counted.handshake_errors.items():
        sheet.put(table.HANDSHAKE_ERRORS, count, reason)
    for decision, by, count in (
        ("allow", "rule", counted.allowed_by_rule),
        ("allow", "default", counted.allowed_by_default),
        ("block", "rule", counted.blocked_by_rule),
        ("block", "default", counted.blocked_by_default),
        ("block", "guard", counted.blocked_by_guard),
        ("block", "limit", counted.refused_by_limits),
    ):
        sheet.put(table.ACL_DECISIONS, count, decision, by)
    for family, label, count in (
        (table.TLS_HANDSHAKES, "ok", counted.tls_accepted),
        (table.TLS_HANDSHAKES, "failed", counted.tls_failed),
        (table.RESOLVER_QUERIES, "answered", counted.lookups - counted.lookups_failed),
        (table.RESOLVER_QUERIES, "cached", counted.lookups_known),
        (table.RESOLVER_QUERIES, "failed", counted.lookups_failed),
        (table.BANNED_REFUSALS, "source", counted.sources_banned),
        (table.BANNED_REFUSALS, "user", counted.users_banned),
        (table.DATAGRAMS_REFUSED, "unknown", counted.datagrams_unknown),
        (table.DATAGRAMS_REFUSED, "replayed", counted.datagrams_replayed),
        (table.DATAGRAMS_REFUSED, "dropped", counted.datagrams_dropped),
    ):
        sheet.put(family, count, label)
    sheet.put_histogram(
        table.RESOLVER_TIME, histogram_of(table.LOOKUP_TIMES, counted.lookup_buckets, counted.lookup_seconds)
    )
    sheet.put(table.ACCEPT_PAUSES, counted.accept_pauses)
    sheet.put(table.SHAPING_WAITS, counted.shaping_waits)
    sheet.put(table.SHAPING_WAITED, counted.shaping_seconds)
    sheet.put(table.QUOTA_CUTS, counted.quota_cuts)
    sheet.put(table.JOURNAL_LOST, counted.sessions_lost)
    sheet.put(table.LOOPS_BUSY, counted.loop_seconds)


def put_upstreams(sheet: Sheet, upstreams: Sequence[UpstreamReport], steady: Steady) -> None:
    """How the parent proxies are."""
    for each in upstreams:
        sheet.put(table.UPSTREAM_UP, float(each.healthy), each.name)
        sheet.put(table.UPSTREAM_IDLE, each.idle, each.name)
        for family, count in (
            (table.UPSTREAM_CONNECTIONS, each.opened),
            (table.UPSTREAM_REUSED, each.reused),
            (table.UPSTREAM_FAILURES, each.failed),
            (table.UPSTREAM_EVICTED, each.evicted),
        ):
            sheet.put(family, steady.follow((family.name, each.name), count), each.name)


def put_inbounds(
    sheet: Sheet,
    connections: Mapping[str, int],
    inbounds: Sequence[Inbound],
    unserved: Container[str],
    max_connections: int,
) -> None:
    """The inbounds that there are to be, and who is connected."""
    sheet.put(table.CONNECTIONS_MAX, max_connections)
    for inbound in inbounds:
        sheet.put(table.INBOUND_UP, float(inbound.name not in unserved), inbound.name)
        sheet.put(table.INBOUND_CONNECTIONS, connections.get(inbound.name, 0), inbound.name)
        sheet.put(table.INBOUND_CONNECTIONS_MAX, inbound.max_connections, inbound.name)


def put_workers(sheet: Sheet, workers: Sequence[WorkerFigures], steady: Steady) -> None:
    """The worker processes."""
    for each in workers:
        name = str(each.number)
        sheet.put(table.WORKER_UP, float(each.ready), name)
        sheet.put(table.WORKER_RESTARTS, each.restarts, name)
        sheet.put(table.WORKER_SESSIONS, each.active, name)
        sheet.put(table.WORKER_CPU, steady.follow((table.WORKER_CPU.name, name), each.cpu or 0.0), name)
        sheet.put_known(table.WORKER_MEMORY, each.memory, name)
        if each.state is not None:
            sheet.put(table.WORKER_FDS, each.state.descriptors, name)
            sheet.put(table.WORKER_LAG, each.state.loop_lag, name)
            sheet.put(table.WORKER_PIPES, each.state.pipes_in_use, name)
            sheet.put(table.WORKER_WAITING, each.state.sessions_waiting, name)
