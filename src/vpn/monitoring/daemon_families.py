"""Metrics of the daemon: its process, its store, its users."""

from __future__ import annotations

from vpn.monitoring.family import Family

LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

BUILD = Family("vpn_build_info", "gauge", "What is running; always 1.", ("version", "python"))
DAEMON_START = Family("vpn_daemon_start_time_seconds", "gauge", "When the daemon started, as seconds since 1970.")
DAEMON_MEMORY = Family("vpn_daemon_memory_bytes", "gauge", "Resident memory of the daemon.")
DAEMON_CPU = Family("vpn_daemon_cpu_seconds_total", "counter", "CPU time of the daemon.")
DAEMON_FDS = Family("vpn_daemon_open_fds", "gauge", "Open file descriptors of the daemon.")
FDS_MAX = Family("vpn_process_max_fds", "gauge", "How many file descriptors the daemon, and each worker, may have.")
DAEMON_LAG = Family(
    "vpn_daemon_loop_lag_seconds",
    "histogram",
    "How late the daemon's event loop was, looked at twice a second.",
    buckets=LAGS,
)
GC_COLLECTIONS = Family(
    "vpn_daemon_gc_collections_total", "counter", "Runs of the daemon's garbage collector.", ("generation",)
)

WRITER_QUEUE = Family("vpn_writer_queue_sessions", "gauge", "Sessions that ended, and wait to be stored.")
WRITER_SPILL = Family("vpn_writer_spill_bytes", "gauge", "What waits on disk until the database is back.")
WRITER_SPILLED = Family("vpn_writer_spill_sessions", "gauge", "Sessions that wait on disk.")
WRITER_LOST = Family("vpn_writer_lost_sessions_total", "counter", "Sessions that could not be kept anywhere.")
WRITER_BATCHES = Family("vpn_writer_batches_total", "counter", "Batches of sessions that were stored.")
WRITER_TIME = Family("vpn_writer_write_seconds_total", "counter", "Seconds that storing these batches took.")
WRITER_LAST = Family("vpn_writer_last_write_seconds", "gauge", "Seconds that storing the last batch took.")

DATABASE_SIZE = Family("vpn_database_size_bytes", "gauge", "Size of the database, log included; none while it is away.")
DISK_FREE = Family("vpn_data_directory_free_bytes", "gauge", "Space left where the data directory lies.")
USERS = Family("vpn_users", "gauge", "Users there are.")
USERS_BLOCKED = Family(
    "vpn_users_blocked", "gauge", "Users who may not connect, by reason, such as over_quota.", ("reason",)
)
USERS_WARNED = Family("vpn_users_quota_warned", "gauge", "Users who have been warned in their present period.")
QUOTA_EVENTS = Family(
    "vpn_quota_events_total", "counter", "Quotas nearly used up (warned) and used up (reached).", ("event",)
)
GROUPS = Family("vpn_groups", "gauge", "Groups there are.")
BANS = Family("vpn_bans", "gauge", "Bans in force.", ("kind",))
RELOADS = Family("vpn_config_reloads_total", "counter", "Times that the settings were read again.", ("result",))
RELOAD_OK = Family(
    "vpn_config_last_reload_successful", "gauge", "Whether the settings, when last read, were in order (1) or not (0)."
)
SCRAPES = Family("vpn_scrapes_total", "counter", "Times that these metrics were put together.")
SCRAPE_TIME = Family("vpn_scrape_seconds_total", "counter", "Seconds of the daemon's event loop that this took.")

DAEMON_FAMILIES = (
    BUILD,
    DAEMON_START,
    DAEMON_MEMORY,
    DAEMON_CPU,
    DAEMON_FDS,
    FDS_MAX,
    DAEMON_LAG,
    GC_COLLECTIONS,
    WRITER_QUEUE,
    WRITER_SPILL,
    WRITER_SPILLED,
    WRITER_LOST,
    WRITER_BATCHES,
    WRITER_TIME,
    WRITER_LAST,
    DATABASE_SIZE,
    DISK_FREE,
    USERS,
    USERS_BLOCKED,
    USERS_WARNED,
    QUOTA_EVENTS,
    GROUPS,
    BANS,
    RELOADS,
    RELOAD_OK,
    SCRAPES,
    SCRAPE_TIME,
)
