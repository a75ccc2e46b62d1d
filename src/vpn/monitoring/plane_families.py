"""Metrics of the data plane: its workers, and what they count besides sessions."""

from __future__ import annotations

from vpn.monitoring.family import Family

LOOKUP_TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""As workers count them."""

AUTHENTICATIONS = Family(
    "vpn_authentications_total",
    "counter",
    "Passwords judged: remembered by a worker, asked of the daemon, or unasked for want of time.",
    ("result", "source"),
)
HANDSHAKE_ERRORS = Family(
    "vpn_handshake_errors_total", "counter", "Clients that did not get as far as a request, by reason.", ("reason",)
)
TLS_HANDSHAKES = Family("vpn_tls_handshakes_total", "counter", "TLS handshakes of clients.", ("result",))
ACL_DECISIONS = Family(
    "vpn_acl_decisions_total",
    "counter",
    "Requests judged, by what decided: rule, default, guard (private destinations) or limit (of the user).",
    ("decision", "by"),
)
BANNED_REFUSALS = Family(
    "vpn_banned_refusals_total", "counter", "Clients turned away because they are banned.", ("kind",)
)
ACCEPT_PAUSES = Family(
    "vpn_accept_pauses_total", "counter", "Times that no client could be accepted for want of file descriptors."
)
RESOLVER_QUERIES = Family(
    "vpn_resolver_queries_total", "counter", "Names looked up, by outcome: answered, cached, failed.", ("outcome",)
)
RESOLVER_TIME = Family(
    "vpn_resolver_seconds", "histogram", "How long name servers took to answer.", buckets=LOOKUP_TIMES
)
SHAPING_WAITS = Family("vpn_shaping_waits_total", "counter", "Times that a flow had to wait because of a rate.")
SHAPING_WAITED = Family("vpn_shaping_wait_seconds_total", "counter", "Seconds that flows had to wait because of rates.")
QUOTA_CUTS = Family("vpn_quota_cuts_total", "counter", "Times that a user's connections were cut at the quota's end.")
DATAGRAMS_REFUSED = Family(
    "vpn_datagrams_refused_total",
    "counter",
    "Datagrams of Shadowsocks that were not relayed: unknown (no user's), replayed, dropped (no room).",
    ("kind",),
)
JOURNAL_LOST = Family(
    "vpn_journal_lost_sessions_total", "counter", "Sessions that found no room in a worker's journal, and are lost."
)

UPSTREAM_UP = Family("vpn_upstream_up", "gauge", "Whether an upstream works (1) or not (0).", ("upstream",))
UPSTREAM_CONNECTIONS = Family(
    "vpn_upstream_connections_total", "counter", "Connections made to an upstream.", ("upstream",)
)
UPSTREAM_REUSED = Family(
    "vpn_upstream_pool_hits_total", "counter", "Connections that were ready before they were needed.", ("upstream",)
)
UPSTREAM_FAILURES = Family(
    "vpn_upstream_failures_total",
    "counter",
    "How often an upstream could not be reached, or refused us.",
    ("upstream",),
)
UPSTREAM_EVICTED = Family(
    "vpn_upstream_pool_evictions_total", "counter", "Connections closed unused, to make room.", ("upstream",)
)
UPSTREAM_IDLE = Family("vpn_upstream_pool_idle_connections", "gauge", "Connections that are ready now.", ("upstream",))

INBOUND_UP = Family(
    "vpn_inbound_up",
    "gauge",
    "Whether an inbound is served (1), or its address is taken (0).",
    ("inbound",),
)
INBOUND_CONNECTIONS = Family(
    "vpn_inbound_connections", "gauge", "Clients connected, whether or not they have a session.", ("inbound",)
)
INBOUND_CONNECTIONS_MAX = Family(
    "vpn_inbound_connections_max", "gauge", "How many clients may be connected; 0: any number.", ("inbound",)
)
CONNECTIONS_MAX = Family(
    "vpn_connections_max", "gauge", "How many clients may be connected over all inbounds; 0: any number."
)
CERTIFICATE_EXPIRY = Family(
    "vpn_certificate_expiry_timestamp_seconds",
    "gauge",
    "When the certificate of an inbound ends, as seconds since 1970.",
    ("inbound",),
)

LOOPS_BUSY = Family(
    "vpn_workers_loop_busy_seconds_total",
    "counter",
    "Time that the workers' event loops were at work, and not waiting.",
)
WORKER_UP = Family("vpn_worker_up", "gauge", "Whether a worker serves (1) or not (0).", ("worker",))
WORKER_RESTARTS = Family("vpn_worker_restarts_total", "counter", "How often a worker was started again.", ("worker",))
WORKER_SESSIONS = Family("vpn_worker_sessions_active", "gauge", "Live sessions of a worker.", ("worker",))
WORKER_MEMORY = Family("vpn_worker_memory_bytes", "gauge", "Resident memory of a worker.", ("worker",))
WORKER_CPU = Family(
    "vpn_worker_cpu_seconds_total", "counter", "CPU time of a worker and of those before it.", ("worker",)
)
WORKER_FDS = Family("vpn_worker_open_fds", "gauge", "Open file descriptors of a worker.", ("worker",))
WORKER_LAG = Family(
    "vpn_worker_loop_lag_seconds",
    "gauge",
    "How late anything was at most in a worker, before its last report.",
    ("worker",),
)
WORKER_WAITING = Family(
    "vpn_worker_journal_waiting_sessions",
    "gauge",
    "Sessions that ended and for which a worker's journal has no room now.",
    ("worker",),
)
WORKER_PIPES = Family(
    "vpn_worker_pipes_in_use", "gauge", "Pipes of the kernel that a worker's bulk flows hold.", ("worker",)
)

PLANE_FAMILIES = (
    AUTHENTICATIONS,
    HANDSHAKE_ERRORS,
    TLS_HANDSHAKES,
    ACL_DECISIONS,
    BANNED_REFUSALS,
    ACCEPT_PAUSES,
    RESOLVER_QUERIES,
    RESOLVER_TIME,
    SHAPING_WAITS,
    SHAPING_WAITED,
    QUOTA_CUTS,
    DATAGRAMS_REFUSED,
    LOOPS_BUSY,
    JOURNAL_LOST,
    UPSTREAM_UP,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_REUSED,
    UPSTREAM_FAILURES,
    UPSTREAM_EVICTED,
    UPSTREAM_IDLE,
    INBOUND_UP,
    INBOUND_CONNECTIONS,
    INBOUND_CONNECTIONS_MAX,
    CONNECTIONS_MAX,
    CERTIFICATE_EXPIRY,
    WORKER_UP,
    WORKER_RESTARTS,
    WORKER_SESSIONS,
    WORKER_MEMORY,
    WORKER_CPU,
    WORKER_FDS,
    WORKER_LAG,
    WORKER_PIPES,
    WORKER_WAITING,
)
