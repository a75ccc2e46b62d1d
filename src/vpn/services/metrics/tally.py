"""What is counted of sessions, as they are heard of.

There are twenty thousand in a second at times, so each is one look into a dictionary, and what is found there
says where everything else of the session is counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from vpn.domain.session import Session
from vpn.monitoring.session_families import DURATIONS, TIMES
from vpn.services.live_sessions import Change, News
from vpn.services.metrics.histogram import Histogram
from vpn.services.metrics.top import OTHER, Top

MOST_ROWS = 2000  # combinations of inbound, protocol, status, reason and upstream; the rest is OTHER
MOST_RULES = 50
MOST_USERS = 100_000
MOST_DESTINATIONS = 4096
ELECTION = 60.0  # seconds between two looks at who is shown

REFUSALS = frozenset(
    {"authentication_failed", "authentication_required", "source_banned", "too_many_connections", "user_banned"}
)
"""Reasons of sessions that failed because somebody was turned away; the other refusals are rejected_by_acl."""

Key = tuple[str, str, str, str, str]
"""Inbound, protocol, status, reason, upstream."""
DIRECT = "direct"


class Traffic:
    """Bytes of one inbound."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0


class Kin:
    """Sessions that ended alike."""

    __slots__ = ("connect", "count", "duration", "first_byte", "traffic")

    def __init__(self, traffic: Traffic, duration: Histogram | None, connect: Histogram, first_byte: Histogram) -> None:
        self.count = 0
        self.traffic = traffic
        self.duration = duration
        """None: they were not let through."""
        self.connect = connect
        self.first_byte = first_byte


class Tally:
    """Hears the news of all sessions.

    Args:
        users: how many users are shown by name; likewise destinations.
        clock: seconds, on any clock that goes on evenly.
    """

    def __init__(self, users: int, destinations: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next_election = clock() + ELECTION
        self.kin: dict[Key, Kin] = {}
        self.traffic: dict[str, Traffic] = {}
        self.durations: dict[tuple[str, str], Histogram] = {}
        self.connects: dict[tuple[str, str], Histogram] = {}
        self.first_bytes: dict[tuple[str, str], Histogram] = {}
        self.allowed: dict[str, int] = {}
        """By rule."""
        self.blocked: dict[str, int] = {}
        self.users = Top(users, MOST_USERS)
        self.destinations = Top(destinations, MOST_DESTINATIONS)

    def hear(self, news: News) -> None:
        """Count what is new. Everything for a session is written out here: a call costs as much as a count."""
        if news.moved:
            self._move(news.moved)
        kin, users, destinations = self.kin, self.users.rows, self.destinations.rows
        for session, sent, received in news.ended:
            status = session.status
            key = (session.inbound, session.protocol, status, session.reason, session.upstream)
            alike = kin.get(key) or self._begin(key)
            alike.count += 1
            if alike.duration is not None:
                lasted = session.ended - session.started
                alike.duration.counts[bisect_left(DURATIONS, lasted)] += 1
                alike.duration.sum += max(lasted, 0.0)  # the clock on the wall may have been set
            took = session.connect_time
            if took:
                alike.connect.counts[bisect_left(TIMES, took)] += 1
                alike.connect.sum += took
                took = session.first_byte_time
                if took:
                    alike.first_byte.counts[bisect_left(TIMES, took)] += 1
                    alike.first_byte.sum += took
            rule = session.rule
            if rule:
                rules = self.blocked if status == "rejected_by_acl" else self.allowed
                if rule in rules:
                    rules[rule] += 1
                else:
                    _add_rule(rules, rule)
            alike.traffic.sent += sent
            alike.traffic.received += received
            user = session.user
            if user:
                row = users.get(user) or self.users.add(user)
                row.score += sent + received
                count = row.count
                count.sessions += 1
                count.sent += sent
                count.received += received
            host = session.host
            if host:
                row = destinations.get(host) or self.destinations.add(host)
                row.score += sent + received
                count = row.count
                count.sessions += 1
                count.sent += sent
                count.received += received

    def elect(self) -> None:
        """See who is to be shown by name, before that is shown."""
        if self._clock() >= self._next_election:
            self._next_election = self._clock() + ELECTION
            self.users.elect()
            self.destinations.elect()

    def _move(self, moved: Iterable[Change]) -> None:
        for session, sent, received in moved:
            if sent or received:
                traffic = self._traffic(session.inbound)
                traffic.sent += sent
                traffic.received += received
                for name, top in _names(session, self.users, self.destinations):
                    row = top.rows.get(name) or top.add(name)
                    row.score += sent + received
                    row.count.sent += sent
                    row.count.received += received

    def _begin(self, key: Key) -> Kin:
        inbound, protocol, status, _, upstream = key
        if len(self.kin) >= MOST_ROWS:
            key = (inbound, OTHER, status, OTHER, OTHER)
            protocol, upstream = OTHER, OTHER
            if key in self.kin:
                return self.kin[key]
        via = (inbound, upstream or DIRECT)
        let_through = status == "closed"
        duration = self.durations.setdefault((inbound, protocol), Histogram(DURATIONS)) if let_through else None
        begun = self.kin[key] = Kin(
            self._traffic(inbound),
            duration,
            self.connects.setdefault(via, Histogram(TIMES)),
            self.first_bytes.setdefault(via, Histogram(TIMES)),
        )
        return begun

    def _traffic(self, inbound: str) -> Traffic:
        traffic = self.traffic.get(inbound)
        if traffic is None:
            traffic = self.traffic[inbound] = Traffic()
        return traffic


def is_refusal(status: str, reason: str) -> bool:
    """Whether a session was refused, by rules, limits, passwords or bans, and did not fail otherwise."""
    return status == "rejected_by_acl" or (status == "failed" and reason in REFUSALS)


def _add_rule(rules: dict[str, int], rule: str) -> None:
    if len(rules) >= MOST_RULES:
        rule = OTHER
    rules[rule] = rules.get(rule, 0) + 1


def _names(session: Session, users: Top, destinations: Top) -> list[tuple[str, Top]]:
    return [(name, top) for name, top in ((session.user, users), (session.host, destinations)) if name]
