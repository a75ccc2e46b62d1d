"""How connections go out of one worker: directly, or through upstreams."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from vpn.domain.address import pack
from vpn.domain.destination import DestinationPattern, parse_destination
from vpn.domain.egress import DIRECT, Choice, Egress, Route
from vpn.domain.session import Session
from vpn.domain.user import canonical
from vpn.protocols.events import Refusal
from vpn.proxy.connector import Connector, Outcome, Reached, Unreached
from vpn.proxy.control import UpstreamReport
from vpn.proxy.judge import Guard

if TYPE_CHECKING:
    from vpn.proxy.core import Core
    from vpn.proxy.upstream import Dial, Way

_REFILL = 0.05  # seconds from the use of an upstream until a connection is made in advance
_V4_MAPPED = bytes(10) + b"\xff\xff"
_NO_ROUTE = (Choice(DIRECT),)


class _CompiledRoute(NamedTuple):
    destinations: tuple[DestinationPattern, ...]
    users: frozenset[str]
    groups: frozenset[str]
    choices: tuple[Choice, ...]

    def matches(self, host: str, packed: bytes | None, port: int, user: str, groups: tuple[str, ...]) -> bool:
        """Whether it is for this destination of this user, who is in these groups."""
        if self.users or self.groups:
            meant = canonical(user) in self.users or not self.groups.isdisjoint(groups)
            if not meant:
                return False
        return not self.destinations or any(each.matches(host, packed, port) for each in self.destinations)


class Outgoing:
    """Chooses the way of each connection."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._egress = Egress()
        self._routes: list[_CompiledRoute] = []
        self._by_group = False
        self._ways: dict[str, Way] = {}
        self._random = random.Random()  # noqa: S311 -- it shares out load, and guards nothing
        self._probing = False
        self.private_destinations = False

    @property
    def egress(self) -> Egress:
        """By which rules: another object when they have changed."""
        return self._egress

    def configure(self, egress: Egress) -> None:
        """Go out this way from now on; connections that stand are not touched."""
        if egress == self._egress:
            return
        self.private_destinations = egress.private_destinations
        if (egress.upstreams, egress.pool) != (self._egress.upstreams, self._egress.pool):
            self._ways = self._make_ways(egress)
        self._routes = [_compile(route) for route in egress.routes]
        self._by_group = any(route.groups for route in self._routes)
        self._egress = egress
        if self._ways and not self._probing:
            self._probing = True
            self.core.poller.call_later(egress.probe_interval, self._probe)

    def connect(
        self, host: str, port: int, session: Session, done: Callable[[Outcome], None], guard: Guard
    ) -> Connector | Trial:
        """Begin to connect; `done` is called once, perhaps before this returns, unless it is cancelled."""
        if not self._routes:
            connector = Connector(self.core, host, port, done, guard, session)
            connector.start()
            return connector
        trial = Trial(self, host, port, session, done, guard)
        trial.start()
        return trial

    def direct_refused(self, host: str, port: int, user: str) -> str:
        """Why something that no upstream can do for us may not go out directly; empty: it may."""
        choices = self._choices(host, port, user)
        return "" if any(choice.upstream == DIRECT for choice in choices) else "not_through_upstream"

    def candidates(self, host: str, port: int, user: str) -> list[str]:
        """The upstreams to be tried, in their order: by weight, then those that stand by, then those that failed."""
        choices = self._choices(host, port, user)
        drawn = sorted(choices, key=self._draw)
        return [choice.upstream for choice in drawn]

    def way(self, name: str) -> Way | None:
        """The upstream of this name; None: it goes out directly."""
        return self._ways.get(name)

    def used(self, way: Way) -> None:
        """A connection went through it: make the next one in advance."""
        if self._egress.pool.max_idle_per_upstream:
            self.core.poller.call_later(_REFILL, lambda: self._refill(way))

    def report(self) -> list[UpstreamReport]:
        """How the upstreams are."""
        return [
            UpstreamReport(name, way.healthy, way.opened, way.reused, way.failed, way.pool.idle(name), way.pool.evicted)
            for name, way in self._ways.items()
        ]

    def _choices(self, host: str, port: int, user: str) -> tuple[Choice, ...]:
        host = host.lower()
        packed = pack(host)
        if packed is not None and packed.startswith(_V4_MAPPED):  # another way to write the same address
            packed = packed[len(_V4_MAPPED) :]
        groups = self.core.groups(user) if self._by_group else ()
        found = (each.choices for each in self._routes if each.matches(host, packed, port, user, groups))
        return next(found, _NO_ROUTE)

    def _draw(self, choice: Choice) -> tuple[bool, float]:
        """A place in the order; a weight twice as high is first twice as often (exponential race)."""
        way = self._ways.get(choice.upstream)
        failed = way is not None and not way.healthy
        place = self._random.expovariate(choice.weight) if choice.weight else float("inf")
        return failed, place

    def _make_ways(self, egress: Egress) -> dict[str, Way]:
        # A worker without upstreams does without the memory of OpenSSL.
        from vpn.proxy.pool import Pool  # noqa: PLC0415
        from vpn.proxy.upstream import Way  # noqa: PLC0415

        for way in self._ways.values():
            way.pool.close()
        pool = Pool(self.core.poller, egress.pool)
        ways: dict[str, Way] = {}
        waiting = list(egress.upstreams)
        while waiting:  # chains are known to end, so each turn makes at least one
            upstream = next(each for each in waiting if not each.via or each.via in ways)
            waiting.remove(upstream)
            ways[upstream.name] = way = Way(self.core, upstream, ways.get(upstream.via), pool)
            before = self._ways.get(upstream.name)
            if before is not None:
                way.opened, way.reused, way.failed = before.opened, before.reused, before.failed
        return ways

    def _refill(self, way: Way) -> None:
        from vpn.proxy.upstream import keep_ready  # noqa: PLC0415

        if self._ways.get(way.name) is way:
            while way.healthy and way.pool.wants(way.name):
                keep_ready(way)

    def _probe(self) -> None:
        """See whether upstreams that failed are back."""
        from vpn.proxy.upstream import probe  # noqa: PLC0415

        self.core.poller.call_later(self._egress.probe_interval, self._probe)
        for way in self._ways.values():
            if not way.healthy:
                probe(way)


class Trial:
    """One connection, by the first of several upstreams that does it; `done` is called once unless cancelled."""

    def __init__(
        self,
        outgoing: Outgoing,
        host: str,
        port: int,
        session: Session,
        done: Callable[[Outcome], None],
        guard: Guard,
    ) -> None:
        self._outgoing = outgoing
        self._guard = guard
        self._host = host
        self._port = port
        self._session = session
        self._done: Callable[[Outcome], None] | None = done
        self._candidates = outgoing.candidates(host, port, session.user)
        self._pending: Connector | Dial | None = None

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        self._next()

    def cancel(self) -> None:
        """Forget it; `done` is not called."""
        self._done = None
        if self._pending is not None:
            self._pending.cancel()

    def _next(self) -> None:
        from vpn.proxy.upstream import Dial  # noqa: PLC0415

        name = self._candidates.pop(0)
        way = self._outgoing.way(name)
        self._session.upstream = name if way is not None else ""
        pending: Connector | Dial
        if way is None and name != DIRECT:  # it was removed meanwhile, which does not make it direct
            self._finished(Unreached(Refusal.FAILED, "upstream_removed"))
            return
        if way is None:
            core = self._outgoing.core
            pending = Connector(core, self._host, self._port, self._finished, self._guard, self._session)
        else:
            pending = Dial(way, self._host, self._port, self._finished, self._guard, self._session)
        self._pending = pending
        pending.start()

    def _finished(self, outcome: Outcome) -> None:
        if self._done is None:
            return
        way = self._outgoing.way(self._session.upstream)
        if isinstance(outcome, Unreached) and outcome.detail.startswith("upstream_") and self._candidates:
            self._next()
            return
        if isinstance(outcome, Reached) and way is not None:
            self._outgoing.used(way)
        done, self._done = self._done, None
        done(outcome)


def _compile(route: Route) -> _CompiledRoute:
    return _CompiledRoute(
        destinations=tuple(parse_destination(each) for each in route.destinations),
        users=frozenset(canonical(user) for user in route.users),
        groups=frozenset(canonical(group) for group in route.groups),
        choices=route.upstreams,
    )
