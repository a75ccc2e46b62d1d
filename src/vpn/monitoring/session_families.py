"""Metrics of sessions: what clients did, and what became of it."""

from __future__ import annotations

from vpn.monitoring.family import Family

DURATIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 14400)
TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

SESSIONS_ACTIVE = Family(
    "vpn_sessions_active", "gauge", "Sessions that are live, at most a second ago.", ("inbound", "protocol")
)
SESSIONS_STARTED = Family(
    "vpn_sessions_started_total", "counter", "Sessions that have begun, those that were refused among them."
)
SESSIONS_ENDED = Family(
    "vpn_sessions_ended_total",
    "counter",
    "Sessions that have ended, by what became of them (closed, failed, rejected_by_acl) and why.",
    ("inbound", "protocol", "status", "reason"),
)
SESSIONS_REJECTED = Family(
    "vpn_sessions_rejected_total",
    "counter",
    "Sessions that were refused, by reason: rules, passwords, bans, limits. They are among those that have ended.",
    ("inbound", "reason"),
)
SESSION_DURATION = Family(
    "vpn_session_duration_seconds",
    "histogram",
    "How long sessions lasted that were let through, from request to close.",
    ("inbound", "protocol"),
    DURATIONS,
)
SESSION_CONNECT = Family(
    "vpn_session_connect_seconds",
    "histogram",
    "From the request until the destination was reached, resolving its name included.",
    ("inbound", "via"),
    TIMES,
)
SESSION_FIRST_BYTE = Family(
    "vpn_session_first_byte_seconds",
    "histogram",
    "From then until the destination's first byte.",
    ("inbound", "via"),
    TIMES,
)
TRAFFIC = Family(
    "vpn_traffic_bytes_total",
    "counter",
    "Bytes moved, live sessions' included. Sent is from client to destination.",
    ("inbound", "direction"),
)
RULE_MATCHES = Family(
    "vpn_rule_matches_total",
    "counter",
    "Sessions that a rule of the policy decided; the first 50 rules by their name, the others as other.",
    ("rule", "decision"),
)
USERS_ACTIVE = Family("vpn_users_active", "gauge", "Users who have live sessions.")
USER_ACTIVE = Family(
    "vpn_user_sessions_active", "gauge", "Live sessions of the users shown, and of the others.", ("user",)
)
USER_SESSIONS = Family(
    "vpn_user_sessions_total", "counter", "Sessions that have ended, of the users shown and of the others.", ("user",)
)
USER_TRAFFIC = Family(
    "vpn_user_traffic_bytes_total",
    "counter",
    "Bytes moved, live sessions' included, of the users shown and of the others.",
    ("user", "direction"),
)
DESTINATION_SESSIONS = Family(
    "vpn_destination_sessions_total",
    "counter",
    "Sessions that have ended, to the destinations shown and to the others.",
    ("destination",),
)
DESTINATION_TRAFFIC = Family(
    "vpn_destination_traffic_bytes_total",
    "counter",
    "Bytes moved, live sessions' included, with the destinations shown and with the others.",
    ("destination", "direction"),
)

SESSION_FAMILIES = (
    SESSIONS_ACTIVE,
    SESSIONS_STARTED,
    SESSIONS_ENDED,
    SESSIONS_REJECTED,
    SESSION_DURATION,
    SESSION_CONNECT,
    SESSION_FIRST_BYTE,
    TRAFFIC,
    RULE_MATCHES,
    USERS_ACTIVE,
    USER_ACTIVE,
    USER_SESSIONS,
    USER_TRAFFIC,
    DESTINATION_SESSIONS,
    DESTINATION_TRAFFIC,
)
