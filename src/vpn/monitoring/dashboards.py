"""The dashboards for Grafana."""

from __future__ import annotations

from typing import Any

from vpn.monitoring import session_families as s
from vpn.monitoring.daemon_families import BANS, USERS, USERS_BLOCKED, USERS_WARNED
from vpn.monitoring.operation_dashboards import overview, performance
from vpn.monitoring.panels import Query, dashboard, heatmap, stat, table, timeseries
from vpn.monitoring.plane_families import ACL_DECISIONS, AUTHENTICATIONS, QUOTA_CUTS
from vpn.monitoring.promql import rate, select, top, total

SHOWN = 10
"""How many lines a graph of the largest has."""


def dashboards() -> dict[str, dict[str, Any]]:
    """All of them, by the name of their files."""
    return {
        "overview.json": overview(),
        "users.json": users(),
        "acl.json": acl(),
        "performance.json": performance(),
        "destinations.json": destinations(),
        "durations.json": durations(),
    }


def users() -> dict[str, Any]:
    """Who uses it, and who may not."""
    moved = total(rate(s.USER_TRAFFIC), "user")
    rows = [
        [
            stat("Users", "Users there are.", Query(select(USERS)), "short"),
            stat("Connected", "Users who have live sessions.", Query(select(s.USERS_ACTIVE)), "short"),
            stat(
                "Kept out", "Users who may not connect.", Query(f"{total(select(USERS_BLOCKED))} or vector(0)"), "short"
            ),
            stat("Warned", "Users near the end of their quota.", Query(select(USERS_WARNED)), "short"),
            stat("Bans", "Addresses and users that are banned.", Query(total(select(BANS))), "short"),
        ],
        [
            timeseries("Bandwidth", "Both directions, by user.", [Query(top(SHOWN, moved), "{{user}}")], "Bps"),
            timeseries(
                "Active sessions",
                "By user.",
                [Query(top(SHOWN, total(select(s.USER_ACTIVE), "user")), "{{user}}")],
                "short",
            ),
            timeseries(
                "Sessions",
                "Sessions that end in a second, by user.",
                [Query(top(SHOWN, total(rate(s.USER_SESSIONS), "user")), "{{user}}")],
                "reqps",
            ),
        ],
        [
            table(
                "Traffic since the start",
                "The users that have series of their own; all others together are other.",
                Query(total(select(s.USER_TRAFFIC), "user")),
                "bytes",
                ["user"],
            ),
            table(
                "Kept out, by reason",
                "Why users may not connect.",
                Query(total(select(USERS_BLOCKED), "reason")),
                "short",
                ["reason"],
            ),
        ],
        [
            timeseries(
                "Passwords",
                "Passwords judged in a second.",
                [Query(total(rate(AUTHENTICATIONS), "result", "source"), "{{result}}, {{source}}")],
                "reqps",
            ),
            timeseries(
                "Quotas",
                "Times in a second that a user was cut at the quota's end.",
                [Query(total(rate(QUOTA_CUTS)), "cut")],
                "ops",
            ),
        ],
    ]
    return dashboard("vpn-manager-users", "users", "Who uses the service, and who may not.", rows)


def acl() -> dict[str, Any]:
    """What the rules decide."""
    blocked = total(rate(s.RULE_MATCHES, 'decision="block"'), "rule")
    allowed = total(rate(s.RULE_MATCHES, 'decision="allow"'), "rule")
    refused = total(rate(s.SESSIONS_REJECTED), "reason")
    by_rules = total(rate(s.SESSIONS_ENDED, 'status="rejected_by_acl"'))
    share = f"{by_rules} / {total(rate(s.SESSIONS_ENDED))}"
    rows = [
        [
            stat("Refused by rules or limits", "Sessions in a second.", Query(by_rules), "reqps"),
            stat("Share of these", "Of all sessions.", Query(share), "percentunit"),
        ],
        [
            timeseries(
                "Refused, by reason", "Sessions in a second.", [Query(refused, "{{reason}}")], "reqps", stacked=True
            ),
            timeseries(
                "Decisions",
                "Requests judged in a second, by what decided.",
                [Query(total(rate(ACL_DECISIONS), "decision", "by"), "{{decision}} by {{by}}")],
                "reqps",
            ),
        ],
        [
            timeseries("Rules that block", "Sessions in a second.", [Query(top(SHOWN, blocked), "{{rule}}")], "reqps"),
            timeseries("Rules that allow", "Sessions in a second.", [Query(top(SHOWN, allowed), "{{rule}}")], "reqps"),
        ],
        [
            table(
                "Rules",
                "Sessions that each rule has decided since the start.",
                Query(total(select(s.RULE_MATCHES), "rule", "decision")),
                "short",
                ["rule", "decision"],
            )
        ],
    ]
    return dashboard("vpn-manager-acl", "access rules", "What the rules let through, and what not.", rows)


def destinations() -> dict[str, Any]:
    """Where sessions go."""
    moved = total(rate(s.DESTINATION_TRAFFIC), "destination")
    rows = [
        [
            timeseries("Bandwidth", "Both directions.", [Query(top(SHOWN, moved), "{{destination}}")], "Bps"),
            timeseries(
                "Sessions",
                "Sessions that end in a second.",
                [Query(top(SHOWN, total(rate(s.DESTINATION_SESSIONS), "destination")), "{{destination}}")],
                "reqps",
            ),
        ],
        [
            table(
                "Traffic since the start",
                "The destinations that have series of their own; all others together are other.",
                Query(total(select(s.DESTINATION_TRAFFIC), "destination", "direction")),
                "bytes",
                ["destination", "direction"],
            ),
            table(
                "Sessions since the start",
                "The destinations that have series of their own; all others together are other.",
                Query(total(select(s.DESTINATION_SESSIONS), "destination")),
                "short",
                ["destination"],
            ),
        ],
    ]
    return dashboard("vpn-manager-destinations", "destinations", "Where sessions go to.", rows)


def durations() -> dict[str, Any]:
    """How long things take, as heat maps."""
    panels = [
        ("Duration of sessions", "From request to close.", s.SESSION_DURATION),
        ("Time to connect", "From the request until the destination was reached.", s.SESSION_CONNECT),
        ("Time to the first byte", "From then until the destination's first byte.", s.SESSION_FIRST_BYTE),
    ]
    rows = [
        [heatmap(title, text, Query(total(rate(family, suffix="_bucket"), "le"), "{{le}}"), "s")]
        for title, text, family in panels
    ]
    return dashboard("vpn-manager-durations", "durations", "How long sessions last, and how fast they begin.", rows)
