"""All at a glance: what `vpn monitor` shows, and the counters of the stream of events."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from vpn import __version__
from vpn.domain.address import Endpoint
from vpn.domain.session import Session
from vpn.proxy.control import UpstreamReport
from vpn.proxy.supervisor import Totals
from vpn.proxy.surroundings import WorkerStatus
from vpn.services.live_sessions import LiveSessions
from vpn.services.resources import ProcessUse, Resources, Use
from vpn.services.status import StatusService
from vpn.services.traffic import NO_RATE, WINDOWS, Rate, Traffic

MOST = 50  # users, destinations and refusals


class Counters(msgspec.Struct, frozen=True):
    """What is counted, since the daemon started, and how fast it grows; rates are per second."""

    time: float
    """Seconds since the epoch."""
    active_sessions: int
    total_sessions: int
    rejected: int
    bytes_sent: int
    bytes_received: int
    rate_sent: float
    rate_received: float
    session_rate: float


class Busy(msgspec.Struct, frozen=True):
    """A user or a destination; rates are bytes per second."""

    name: str
    sessions: int
    """Live ones."""
    rate_sent: float
    rate_received: float


Order = Literal["rate", "sessions", "name"]
_ORDERS: dict[Order, Callable[[Busy], Any]] = {
    "rate": lambda each: (-each.rate_sent - each.rate_received, -each.sessions, each.name),
    "sessions": lambda each: (-each.sessions, -each.rate_sent - each.rate_received, each.name),
    "name": lambda each: each.name,
}


class Refusal(msgspec.Struct, frozen=True):
    """A session that was refused."""

    time: float
    """Seconds since the epoch."""
    user: str
    source: str
    destination: str
    reason: str
    rule: str


class WorkerUse(msgspec.Struct, frozen=True):
    """A worker, and what it uses."""

    status: WorkerStatus
    use: ProcessUse | None
    """None: it is not running."""
    lag: float | None
    """Seconds that its event loop was late at most, lately; None: not known."""


class Overview(msgspec.Struct, frozen=True):
    """All of it at one moment."""

    version: str
    uptime_seconds: float
    healthy: bool
    counters: Counters
    use: Use
    workers: list[WorkerUse]
    upstreams: list[UpstreamReport]
    users: list[Busy]
    """The busiest first, and so on."""
    destinations: list[Busy]
    refusals: list[Refusal]
    """The newest first."""


class Observatory:
    """Looks at everything. Call `turn` once a second.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        status: StatusService,
        live: LiveSessions,
        traffic: Traffic,
        resources: Resources,
        clock: Callable[[], float],
    ) -> None:
        self._status = status
        self._live = live
        self._traffic = traffic
        self._resources = resources
        self._clock = clock
        self._opened: deque[int] = deque([0], maxlen=WINDOWS + 1)

    def turn(self) -> None:
        """A second is over."""
        self._traffic.turn()
        self._opened.append(self._status.totals().opened)

    def counters(self) -> Counters:
        """Only the counters."""
        totals: Totals = self._status.totals()
        rate = self._traffic.total()
        turns = max(1, len(self._opened) - 1)
        return Counters(
            time=round(self._clock(), 3),
            active_sessions=totals.active,
            total_sessions=totals.opened,
            rejected=self._traffic.rejected,
            bytes_sent=totals.bytes_sent,
            bytes_received=totals.bytes_received,
            rate_sent=round(rate.sent, 1),
            rate_received=round(rate.received, 1),
            session_rate=round((self._opened[-1] - self._opened[0]) / turns, 1),
        )

    def overview(self, most: int, order: Order = "rate") -> Overview:
        """All of it, with at most so many users and destinations, in this order, and refusals."""
        use = self._resources.sample()
        by_pid = {each.pid: each for each in use.workers}
        return Overview(
            version=__version__,
            uptime_seconds=round(self._status.uptime, 3),
            healthy=self._status.healthy,
            counters=self.counters(),
            use=use,
            workers=[
                WorkerUse(each, by_pid.get(each.pid), each.loop_lag if each.ready else None)
                for each in self._status.workers()
            ],
            upstreams=self._status.upstreams(),
            users=_busy(Counter(each.user for each in self._live), self._traffic.users(), order)[:most],
            destinations=_busy(Counter(each.host for each in self._live), self._traffic.destinations(), order)[:most],
            refusals=[_refusal(each) for each in list(self._traffic.refused)[: -most - 1 : -1]],
        )


def _busy(sessions: Counter[str], rates: dict[str, Rate], order: Order) -> list[Busy]:
    found = []
    for name in {name for name in (*sessions, *rates) if name}:
        rate = rates.get(name, NO_RATE)
        found.append(Busy(name, sessions[name], round(rate.sent, 1), round(rate.received, 1)))
    return sorted(found, key=_ORDERS[order])


def _refusal(session: Session) -> Refusal:
    return Refusal(
        time=session.ended,
        user=session.user,
        source=str(Endpoint(session.source_host, session.source_port)),
        destination=str(Endpoint(session.host, session.port)),
        reason=session.reason,
        rule=session.rule,
    )
