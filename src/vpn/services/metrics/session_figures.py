"""The figures of sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from vpn.domain.session import Session
from vpn.monitoring import session_families as table
from vpn.monitoring.family import Family
from vpn.services.metrics.sheet import Sheet
from vpn.services.metrics.tally import Tally, is_refusal
from vpn.services.metrics.top import OTHER, Top


def put_sessions(sheet: Sheet, tally: Tally, live: Sequence[Session], started: int) -> None:
    """What was counted of sessions, and which are live; `started` is how many there have been."""
    tally.elect()
    sheet.put(table.SESSIONS_STARTED, started)
    active = Counter(dict.fromkeys(tally.durations, 0))
    active.update((each.inbound, each.protocol) for each in live)
    for (inbound, protocol), count in active.items():
        sheet.put(table.SESSIONS_ACTIVE, count, inbound, protocol)
    _put_users(sheet, tally.users, [each.user for each in live if each.user])
    _put_ended(sheet, tally)
    for family, histograms in (
        (table.SESSION_DURATION, tally.durations),
        (table.SESSION_CONNECT, tally.connects),
        (table.SESSION_FIRST_BYTE, tally.first_bytes),
    ):
        for labels, histogram in histograms.items():
            sheet.put_histogram(family, histogram, *labels)
    for inbound, traffic in tally.traffic.items():
        sheet.put(table.TRAFFIC, traffic.sent, inbound, "sent")
        sheet.put(table.TRAFFIC, traffic.received, inbound, "received")
    for decision, rules in (("allow", tally.allowed), ("block", tally.blocked)):
        for rule, count in rules.items():
            sheet.put(table.RULE_MATCHES, count, rule, decision)
    _put_top(sheet, tally.users, table.USER_SESSIONS, table.USER_TRAFFIC)
    _put_top(sheet, tally.destinations, table.DESTINATION_SESSIONS, table.DESTINATION_TRAFFIC)


def _put_users(sheet: Sheet, top: Top, users: Collection[str]) -> None:
    """Who has live sessions; `users` has a name for each of these."""
    active = Counter(users)
    sheet.put(table.USERS_ACTIVE, len(active))
    for name, _ in top.counts()[:-1]:
        sheet.put(table.USER_ACTIVE, active.pop(name, 0), name)
    sheet.put(table.USER_ACTIVE, active.total(), OTHER)


def _put_ended(sheet: Sheet, tally: Tally) -> None:
    ended: Counter[tuple[str, str, str, str]] = Counter()
    rejected: Counter[tuple[str, str]] = Counter()
    for (inbound, protocol, status, reason, _), alike in tally.kin.items():
        ended[inbound, protocol, status, reason] += alike.count
        if is_refusal(status, reason):
            rejected[inbound, reason] += alike.count
    for labels, count in ended.items():
        sheet.put(table.SESSIONS_ENDED, count, *labels)
    for which, count in rejected.items():
        sheet.put(table.SESSIONS_REJECTED, count, *which)


def _put_top(sheet: Sheet, top: Top, sessions: Family, traffic: Family) -> None:
    for name, count in top.counts():
        sheet.put(sessions, count.sessions, name)
        sheet.put(traffic, count.sent, name, "sent")
        sheet.put(traffic, count.received, name, "received")
