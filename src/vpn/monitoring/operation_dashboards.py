"""The dashboards of those who operate the service: whether it is well, and how fast."""

from __future__ import annotations

from typing import Any

from vpn.monitoring import daemon_families as d
from vpn.monitoring import plane_families as p
from vpn.monitoring import session_families as s
from vpn.monitoring.panels import Panel, Query, dashboard, stat, timeseries
from vpn.monitoring.promql import increase, mean, quantile, rate, select, total


def overview() -> dict[str, Any]:
    """What one looks at first."""
    rows = [
        _figures(),
        [
            timeseries(
                "Active sessions",
                "By inbound and protocol.",
                [Query(total(select(s.SESSIONS_ACTIVE), "inbound", "protocol"), "{{inbound}} {{protocol}}")],
                "short",
                stacked=True,
            ),
            timeseries(
                "Bandwidth",
                "Sent is from clients to destinations.",
                [Query(total(rate(s.TRAFFIC), "direction"), "{{direction}}")],
                "Bps",
            ),
        ],
        [
            timeseries(
                "Sessions that end",
                "In a second, by what became of them.",
                [Query(total(rate(s.SESSIONS_ENDED), "status"), "{{status}}")],
                "reqps",
                stacked=True,
            ),
            timeseries(
                "Sessions that fail",
                "In a second, by reason.",
                [Query(total(rate(s.SESSIONS_ENDED, 'status="failed"'), "reason"), "{{reason}}")],
                "reqps",
                stacked=True,
            ),
        ],
        [
            timeseries(
                "Clients connected",
                "By inbound.",
                [Query(total(select(p.INBOUND_CONNECTIONS), "inbound"), "{{inbound}}")],
                "short",
            ),
            timeseries(
                "Memory",
                "Of the daemon and its workers.",
                [
                    Query(select(d.DAEMON_MEMORY), "daemon"),
                    Query(select(p.WORKER_MEMORY), "worker {{worker}}"),
                ],
                "bytes",
                stacked=True,
            ),
        ],
    ]
    return dashboard("vpn-manager-overview", "overview", "Whether the service is well, and what it does.", rows)


def _figures() -> list[Panel]:
    restarts = total(increase(p.WORKER_RESTARTS, window="1h"))
    expiry = f"min({select(p.CERTIFICATE_EXPIRY)} - time())"
    return [
        stat("Active sessions", "Now.", Query(total(select(s.SESSIONS_ACTIVE)) + " or vector(0)"), "short"),
        stat("New sessions", "In a second.", Query(total(rate(s.SESSIONS_STARTED))), "reqps"),
        stat("Bandwidth", "Both directions.", Query(total(rate(s.TRAFFIC))), "Bps"),
        stat(
            "Workers down",
            "Data-plane processes that do not serve.",
            Query(f"count({select(p.WORKER_UP)} == 0) or vector(0)"),
            "short",
            1,
        ),
        stat("Worker restarts", "In the last hour.", Query(restarts), "short", 1),
        stat("Certificates", "Until the first of them ends.", Query(expiry), "s"),
    ]


def performance() -> dict[str, Any]:
    """How fast it is, and what it uses."""
    rows = [_latencies(), _processes(), _loops(), _storing(), _waiting(), _upstreams()]
    return dashboard("vpn-manager-performance", "performance", "How fast the service is, and what it uses.", rows)


def _latencies() -> list[Panel]:
    shares = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return [
        timeseries(
            "Time to connect",
            "From the request until the destination was reached.",
            [Query(quantile(share, s.SESSION_CONNECT), name) for share, name in shares],
            "s",
        ),
        timeseries(
            "Time to the first byte",
            "From then until the destination's first byte.",
            [Query(quantile(share, s.SESSION_FIRST_BYTE), name) for share, name in shares],
            "s",
        ),
        timeseries(
            "Name servers",
            "How long they took to answer.",
            [Query(quantile(0.95, p.RESOLVER_TIME), "p95"), Query(mean(p.RESOLVER_TIME), "mean")],
            "s",
        ),
    ]


def _processes() -> list[Panel]:
    return [
        timeseries(
            "CPU",
            "Processors used.",
            [Query(rate(d.DAEMON_CPU), "daemon"), Query(rate(p.WORKER_CPU), "worker {{worker}}")],
            "percentunit",
        ),
        timeseries(
            "Memory",
            "Resident.",
            [Query(select(d.DAEMON_MEMORY), "daemon"), Query(select(p.WORKER_MEMORY), "worker {{worker}}")],
            "bytes",
        ),
        timeseries(
            "File descriptors",
            "Open.",
            [
                Query(select(d.DAEMON_FDS), "daemon"),
                Query(select(p.WORKER_FDS), "worker {{worker}}"),
                Query(select(d.FDS_MAX), "at most, each"),
            ],
            "short",
        ),
    ]


def _loops() -> list[Panel]:
    return [
        timeseries(
            "Event loops",
            "How late they are.",
            [Query(quantile(0.99, d.DAEMON_LAG), "daemon, p99"), Query(select(p.WORKER_LAG), "worker {{worker}}")],
            "s",
        ),
        timeseries(
            "Garbage collection",
            "Runs in a second, of the daemon.",
            [Query(rate(d.GC_COLLECTIONS), "generation {{generation}}")],
            "ops",
        ),
        timeseries(
            "Scrapes",
            "Time of the daemon's event loop that one takes.",
            [Query(f"{rate(d.SCRAPE_TIME)} / {rate(d.SCRAPES)}", "mean")],
            "s",
        ),
    ]


def _storing() -> list[Panel]:
    return [
        timeseries(
            "Storing a batch",
            "How long it takes.",
            [
                Query(f"{rate(d.WRITER_TIME)} / {rate(d.WRITER_BATCHES)}", "mean"),
                Query(select(d.WRITER_LAST), "last"),
            ],
            "s",
        ),
        timeseries(
            "Sessions that wait to be stored",
            "In memory, and on disk while the database is away.",
            [Query(select(d.WRITER_QUEUE), "in memory"), Query(select(d.WRITER_SPILLED), "on disk")],
            "short",
        ),
        timeseries(
            "Disk",
            "Sizes.",
            [
                Query(select(d.DATABASE_SIZE), "database"),
                Query(select(d.WRITER_SPILL), "waiting sessions"),
                Query(select(d.DISK_FREE), "free"),
            ],
            "bytes",
        ),
    ]


def _waiting() -> list[Panel]:
    return [
        timeseries(
            "Rates",
            "Seconds in a second that flows wait because of rates.",
            [Query(rate(p.SHAPING_WAITED), "waited")],
            "s",
        ),
        timeseries(
            "Names looked up",
            "In a second, by outcome.",
            [Query(total(rate(p.RESOLVER_QUERIES), "outcome"), "{{outcome}}")],
            "reqps",
        ),
        timeseries(
            "Handshakes that fail",
            "In a second, by reason.",
            [Query(total(rate(p.HANDSHAKE_ERRORS), "reason"), "{{reason}}")],
            "reqps",
        ),
    ]


def _upstreams() -> list[Panel]:
    return [
        timeseries("Upstreams", "Whether they work.", [Query(select(p.UPSTREAM_UP), "{{upstream}}")], "bool_on_off"),
        timeseries(
            "Connections to upstreams",
            "Made in a second, and ready before they were needed.",
            [
                Query(rate(p.UPSTREAM_CONNECTIONS), "{{upstream}}"),
                Query(rate(p.UPSTREAM_REUSED), "{{upstream}}, ready"),
            ],
            "ops",
        ),
        timeseries(
            "Upstream failures",
            "In a second.",
            [Query(rate(p.UPSTREAM_FAILURES), "{{upstream}}")],
            "ops",
        ),
    ]
