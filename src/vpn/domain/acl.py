"""Rules decided: whether a user may connect to a destination, and which rule says so.

The rules of a user and of all the user's groups form one pool. Of those that match, one that blocks beats all that
allow; then the higher priority decides, then the user's own before the groups', then the order of the document. If
none matches, the policy's default decides.

A name is judged by the rules on names before it is resolved, as far as that is enough (`Pool.foresee`), and then
again for each of its addresses, by the rules on names and on addresses together (`Pool.decide`): so no name leads
round a rule about a network.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vpn.domain.address import pack
from vpn.domain.destination import COUNTRY, DestinationPattern, normal_name, parse_destination
from vpn.domain.errors import Invalid
from vpn.domain.network import parse_network
from vpn.domain.policy import Policy, Rule, groups_of, name_of
from vpn.domain.rule_index import Country, Index, plain_address, plain_network
from vpn.domain.rule_slot import UDP, lowest_rank
from vpn.domain.schedule import Schedule, parse_schedules
from vpn.domain.user import canonical

LAST_PORT = 65535
DEFAULT = "default"
"""The name of the decision that no rule has made."""

Span = tuple[int, int]
"""First and last place on the axis of ports (vpn.domain.rule_slot)."""


class Request(msgspec.Struct, gc=False):
    """What is to be decided. `request_for` makes one from what a client says."""

    host: str
    """The name, in the form in which names are compared; empty: the destination is an address."""
    packed: bytes | None
    """The 4 or 16 bytes of the address, where it is known."""
    port: int
    udp: bool
    source: bytes
    """The address of the client."""
    now: float
    """Seconds since the epoch."""


def request_for(host: str, port: int, *, udp: bool, source: bytes, now: float) -> Request:
    """The request of a client that asks for a name, or an address in text."""
    host = normal_name(host)
    packed = pack(host)
    return Request(host if packed is None else "", packed, port, udp, source, now)


class Decision(msgspec.Struct, frozen=True):
    """Yes or no, and the rule that says so; none: the policy's default does."""

    allowed: bool
    name: str
    """What the rule is called, e.g. ``groups.staff.rules.0``; or ``default``."""
    rule: Rule | None

    @property
    def reason(self) -> str:
        """Why not, as a short stable code: ``blocked_by_rule``, or ``not_allowed`` by the default."""
        return "not_allowed" if self.rule is None else "blocked_by_rule"

    @property
    def why(self) -> str:
        """One sentence for people."""
        verb = "allows" if self.allowed else "blocks"
        if self.rule is None:
            return f"no rule matches, and the default {verb} it"
        return f"{self.name} {verb} it" + (f": {self.rule.description}" if self.rule.description else "")


class _Condition:
    """What has to hold besides, for rules that name sources or hours."""

    __slots__ = ("_sources", "schedule")

    def __init__(self, rule: Rule) -> None:
        self.schedule: Schedule | None = parse_schedules(rule.hours, rule.timezone) if rule.hours else None
        self._sources: dict[tuple[int, int], set[int]] = {}
        for prefix, shift, bits in (plain_network(parse_network(source)) for source in rule.sources):
            self._sources.setdefault((bits // 8, shift), set()).add(prefix)

    def holds(self, request: Request) -> bool:
        """Whether it holds for a request."""
        if self._sources and not self._comes_from(plain_address(request.source)):
            return False
        return self.schedule is None or self.schedule.holds(request.now)

    def _comes_from(self, source: bytes) -> bool:
        number = int.from_bytes(source, "big")
        return any(
            size == len(source) and number >> shift in prefixes for (size, shift), prefixes in self._sources.items()
        )


class CompiledPolicy:
    """A policy in the form in which it decides.

    Args:
        policy: the rules.
        country: tells countries.

    Raises:
        Invalid: a rule names a country, and nothing tells countries.
    """

    def __init__(self, policy: Policy, country: Country | None = None) -> None:
        self.policy = policy
        self._country = country
        self._index = Index()
        self._holders: dict[tuple[str, str], int] = {}
        self._conditions: dict[tuple[object, ...], int] = {}
        self._numbered: list[_Condition] = []
        self._by_address: set[int] = set()
        self._allowing_by_address: set[int] = set()
        self._pools: dict[tuple[str, tuple[str, ...]], Pool] = {}
        enabled = [each for each in policy.rules() if each[3].enabled]
        ranked = sorted(enabled, key=lambda each: (each[3].action == "allow", -each[3].priority))
        self._decisions = [
            Decision(rule.action == "allow", name_of(kind, holder, number), rule)
            for kind, holder, number, rule in ranked
        ]
        self._decisions.append(Decision(policy.default == "allow", DEFAULT, None))
        for rank, (kind, name, _, rule) in enumerate(ranked):
            holder = self._holders.setdefault((kind, name), len(self._holders))
            self._add(holder, rank, rule)
        self._index.seal(len(ranked))
        self.allows_all = policy.default == "allow" and not enabled
        """Whether there is no rule, and everything is allowed."""

    def next_change(self, now: float) -> float:
        """The first moment after `now` at which some rule begins or ceases to hold; infinity: none does."""
        schedules = [condition.schedule for condition in self._numbered if condition.schedule is not None]
        return min((schedule.next_change(now) for schedule in schedules), default=float("inf"))

    def pool(self, user: str, stored: tuple[str, ...] = ()) -> Pool:
        """The rules of a user, who is in these groups and in those that the policy names."""
        name = canonical(user)
        # Users of whom the policy says nothing are told apart by their groups alone.
        key = (name if name in self.policy.users else "", stored)
        pool = self._pools.get(key)
        if pool is None:
            holders = [("users", name), *(("groups", group) for group in groups_of(self.policy, name, stored))]
            pool = Pool(self, tuple(self._holders[holder] for holder in holders if holder in self._holders))
            self._pools[key] = pool
        return pool

    def decide(self, holders: tuple[int, ...], request: Request) -> Decision:
        """What the rules of these holders say: for `Pool.decide`."""
        packed = request.packed
        if packed is not None and len(packed) == 16:
            packed = plain_address(packed)
        place = request.port | UDP if request.udp else request.port
        rank = len(self._decisions) - 1

        def holds(condition: int) -> bool:
            return self._numbered[condition - 1].holds(request)

        for bucket in self._index.find(request.host, packed, self._country):
            for holder in holders:
                slot = bucket.get(holder)
                if slot is not None:
                    rank = lowest_rank(slot, place, rank, holds)
        return self._decisions[rank]

    def by_address(self, holders: tuple[int, ...]) -> tuple[bool, bool]:
        """Whether any rule of these holders is on addresses or countries, and whether one of them allows."""
        return not self._by_address.isdisjoint(holders), not self._allowing_by_address.isdisjoint(holders)

    def _add(self, holder: int, rank: int, rule: Rule) -> None:
        condition = self._condition(rule)
        ports = [_ports(each) for each in rule.ports]
        for text in rule.destinations:
            pattern = parse_destination(text, countries=True)
            if pattern.network is not None or pattern.kind == COUNTRY:
                self._by_address.add(holder)
                if rule.action == "allow":
                    self._allowing_by_address.add(holder)
                if pattern.kind == COUNTRY and self._country is None:
                    hint = "name a GeoIP file in the setting policy.geoip"
                    raise Invalid("no_countries", f"{text} is in the policy, and countries cannot be told", hint)
            for first, last in _spans(ports, pattern, rule):
                self._index.add(pattern, holder, (rank, first, last, condition))

    def _condition(self, rule: Rule) -> int:
        if not rule.sources and not rule.hours:
            return 0
        key = (rule.sources, rule.hours, rule.timezone)
        number = self._conditions.get(key)
        if number is None:
            self._numbered.append(_Condition(rule))
            number = self._conditions[key] = len(self._numbered)
        return number


class Pool:
    """The rules that count for a user. `CompiledPolicy.pool` makes it."""

    __slots__ = ("_allows_by_address", "_holders", "_policy", "by_address")

    def __init__(self, policy: CompiledPolicy, holders: tuple[int, ...]) -> None:
        self._policy = policy
        self._holders = holders
        self.by_address, self._allows_by_address = policy.by_address(holders)

    def decide(self, request: Request) -> Decision:
        """What the rules say, from the name and the address, as far as the request has them."""
        return self._policy.decide(self._holders, request)

    def foresee(self, request: Request) -> Decision | None:
        """What they say before the address is known, of a name, or of anybody (0.0.0.0 or ::, with which BIND waits for
        whoever comes); None: that depends on the address.
        """
        decision = self._policy.decide(self._holders, request)
        if not self.by_address or (request.packed is not None and any(request.packed)):
            return decision
        if decision.rule is None:
            return decision if not decision.allowed and not self._allows_by_address else None
        return None if decision.allowed else decision


def _ports(text: str) -> Span:
    if text == "*":
        return 0, LAST_PORT
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _spans(ports: Iterable[Span], pattern: DestinationPattern, rule: Rule) -> list[Span]:
    """Where on the axis a rule matches: the ports that both it and one of its patterns mean, for each protocol."""
    meant = [(max(first, pattern.first_port), min(last, pattern.last_port)) for first, last in ports]
    spans = [(first, last) for first, last in meant if first <= last]
    if rule.protocols == ("udp",):
        return [(first | UDP, last | UDP) for first, last in spans]
    if rule.protocols == ("tcp",):
        return spans
    if spans == [(0, LAST_PORT)]:
        return [(0, LAST_PORT | UDP)]
    return spans + [(first | UDP, last | UDP) for first, last in spans]
