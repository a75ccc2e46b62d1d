"""The messages between the daemon and its workers.

They travel as msgpack, tagged with their type. The order on one channel is the order of sending.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vpn.domain.egress import Egress
from vpn.domain.inbound import Inbound
from vpn.domain.policy import ALLOW_ALL, Policy
from vpn.domain.session import Session
from vpn.proxy.counters import WorkerCounters, WorkerGauges


class Message(msgspec.Struct, frozen=True, tag=True):
    """What every message is."""


# --- daemon to worker


class SnapshotLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker itself decides when a user comes in; 0 or nothing: no limit (vpn.domain.limits)."""

    max_connections: int = 0
    connection_rate: int = 0
    max_devices: int = 0
    sources: tuple[str, ...] = ()
    inbounds: tuple[str, ...] = ()
    burst: int = 0
    """Bytes; 0: chosen by the rate. Rates and quotas themselves are in shared memory (vpn.proxy.meter)."""


NO_SNAPSHOT_LIMITS = SnapshotLimits()


DISABLED = "user_disabled"
"""The one reason to refuse a user that is not told to who knows the password."""


class SnapshotUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker knows of a user."""

    name: str
    credential: int
    """Which password is the current one."""
    blocked: str = ""
    """Why the user may not connect, e.g. ``user_disabled``, ``user_expired``; empty: the user may."""
    slot: int = 0
    """Where the user is counted (vpn.proxy.meter); 0: nowhere."""
    groups: tuple[str, ...] = ()
    """All of them, in the form under which names are compared, the nearest first."""
    limits: SnapshotLimits = NO_SNAPSHOT_LIMITS
    shadowsocks: str = ""
    """The user's secret for Shadowsocks; empty: no inbound needs it."""


class Snapshot(Message, frozen=True):
    """The immutable state that a worker works from. Versions count up; a newer one replaces an older."""

    version: int
    users: list[SnapshotUser]
    egress: Egress


class Rules(Message, frozen=True):
    """The policy to work by. Sent when it changes, and to a worker that starts. Versions count up."""

    version: int
    policy: Policy
    geoip: str = ""
    """A file that tells countries (vpn.proxy.countries), opened anew with each of these messages; empty: none."""


NO_RULES = Rules(0, ALLOW_ALL)
"""What holds until somebody says something else."""


class Listening(msgspec.Struct, frozen=True):
    """An inbound with the sockets that a worker has, which are told apart by numbers."""

    number: int
    column: int
    """Where its connections are counted (vpn.proxy.limits)."""
    inbound: Inbound
    packets: int = 0
    """What tells its socket for datagrams from all others; 0: there is none, or another worker has it."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of all its sockets, in the order in which they travel."""
        return (self.number, self.packets) if self.packets else (self.number,)


class Listen(Message, frozen=True):
    """Serve these inbounds, and no others.

    With this message travel the sockets of those numbers that are new to the worker, in their order. Clients
    of an inbound that is gone have `drain` seconds to end.
    """

    listening: list[Listening]
    max_connections: int
    drain: float


class Verdict(Message, frozen=True):
    """The answer to `Verify`, and the credential number of the user that it holds for (0: nobody)."""

    id: int
    accepted: bool
    credential: int


class Bans(Message, frozen=True):
    """Turn away these, and no others."""

    sources: list[str] = []
    """As vpn.domain.bans.source_subject makes them."""
    users: dict[str, list[str]] = {}
    """By names as they are compared: the sources from which each may come all the same."""
    trusted: list[str] = []
    """Networks from which every user may."""


class Tracing(Message, frozen=True):
    """Note the steps (`Session.phases`) of so many of the sessions that begin from now on: 0.0 none, 1.0 all."""

    ratio: float = 0.0


class Cut(Message, frozen=True):
    """Close live sessions: those named, and those of this user to this destination; answered with `HasCut`.

    One that names nobody asks whether the worker is awake.
    """

    number: int
    reason: str
    ids: list[int] = []
    user: str = ""
    """As it is compared; empty: any, if there is a destination."""
    destination: str = ""
    """As vpn.domain.destination reads it; empty: any, if there is a user."""


class Drain(Message, frozen=True):
    """Accept nothing more, let sessions end, close what is left after `seconds`, report, and exit."""

    seconds: float


# --- worker to daemon


class Ready(Message, frozen=True):
    """The worker listens, for the first time."""


class Listens(Message, frozen=True):
    """The worker does what a later `Listen` says. One for each, in their order."""


class Refuses(Message, frozen=True):
    """The worker turns away whom a `Bans` names. One for each, in their order."""


class Applied(Message, frozen=True):
    """The worker works from this snapshot, and has cut what it forbids."""

    version: int


class RulesApplied(Message, frozen=True):
    """The worker works by this policy, and has cut what it forbids."""

    version: int
    problem: str = ""
    """Why it does not, and goes on as before; empty: it does."""


class Verify(Message, frozen=True):
    """Is this the password of this user? Answered with `Verdict`."""

    id: int
    user: str
    password: str
    source: str
    """The address that the client comes from."""


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """Somebody gave a password."""

    user: str
    source: str
    times: int = 1


class Attempts(Message, frozen=True):
    """Passwords that the worker judged by what it remembers; of the right ones, only the first in a while."""

    failed: list[Attempt]
    succeeded: list[Attempt]


class UpstreamReport(msgspec.Struct, frozen=True):
    """How an upstream is, as one worker knows it; counted since the worker started."""

    name: str
    healthy: bool
    opened: int
    """Connections made to it."""
    reused: int
    """Connections that were ready before they were needed."""
    failed: int
    idle: int
    """Connections that are ready now."""
    evicted: int


def merge_upstreams(reports: list[UpstreamReport]) -> UpstreamReport:
    """One upstream, as several workers know it."""
    return UpstreamReport(
        name=reports[0].name,
        healthy=any(each.healthy for each in reports),
        opened=sum(each.opened for each in reports),
        reused=sum(each.reused for each in reports),
        failed=sum(each.failed for each in reports),
        idle=sum(each.idle for each in reports),
        evicted=sum(each.evicted for each in reports),
    )


class HasCut(Message, frozen=True):
    """The sessions of a `Cut` are closed."""

    number: int
    sessions: int


class Hungry(Message, frozen=True):
    """Somebody has to wait because of the rate that he has (vpn.proxy.shaper)."""


class Moved(msgspec.Struct, frozen=True, array_like=True):
    """What a live session has moved by now."""

    id: int
    bytes_sent: int
    bytes_received: int
    packets_sent: int
    packets_received: int


class Report(Message, frozen=True):
    """Counters since the worker started, and what is new about its sessions: all as it is at one moment.

    Byte counts include the live sessions'.
    """

    opened: int
    active: int
    bytes_sent: int
    bytes_received: int
    journaled: int = 0
    """The sessions that ended are in the journal, up to this position (vpn.proxy.journal)."""
    live: list[Session] = []
    """Live sessions that are new, or of which more is known than what they have moved."""
    moved: list[Moved] = []
    """Of the other live sessions, those that have moved something."""
    upstreams: list[UpstreamReport] = []
    counters: WorkerCounters = msgspec.field(default_factory=WorkerCounters)
    gauges: WorkerGauges = WorkerGauges()
    whole: bool = False
    """`live` has all live sessions: of others that were live, the end was lost."""


class Log(Message, frozen=True):
    """A line for the daemon's log."""

    level: str
    event: str
    fields: dict[str, Any]


ToWorker = Snapshot | Rules | Listen | Verdict | Bans | Tracing | Cut | Drain
ToDaemon = Ready | Listens | Refuses | Applied | RulesApplied | Verify | Attempts | HasCut | Hungry | Report | Log
