"""What the connections of one worker share."""

from __future__ import annotations

import gc
import random
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from vpn.domain.acl import CompiledPolicy, Pool
from vpn.domain.policy import ALLOW_ALL, groups_of
from vpn.domain.session import Phase, Session, SessionIds
from vpn.domain.user import canonical
from vpn.proxy.accounts import Account, Accounts
from vpn.proxy.background import Background
from vpn.proxy.bans import Bans
from vpn.proxy.client import Client
from vpn.proxy.control import Attempts, Log, Report, Snapshot, Verify
from vpn.proxy.counters import WorkerCounters, copied
from vpn.proxy.credentials import Credentials
from vpn.proxy.entry import Entry
from vpn.proxy.journal import Recorder
from vpn.proxy.judge import Guard
from vpn.proxy.outgoing import Outgoing
from vpn.proxy.pipes import Pipes
from vpn.proxy.poller import Poller, Timer
from vpn.proxy.reporting import Told, gauges
from vpn.proxy.resolver import Resolver
from vpn.proxy.revision import revise
from vpn.proxy.rules import Rules
from vpn.proxy.salts import Salts, lone_salts
from vpn.proxy.waiting import Waiting

if TYPE_CHECKING:
    from vpn.proxy.shadowsocks import Shadowsocks

CLOCK = 60.0  # seconds between two looks at the clock on the wall, where rules have hours
SOON = 0.01  # seconds, so that the moment has come when the timer rings
SWEEP = 0.5  # seconds between two looks at who has been too slow
CROWD = 500  # connections whose leaving is worth some tidying
TIDY = 1.0  # seconds after that, when their sessions have been reported
QUIET = 10.0  # seconds without another line of the same kind
BUFFER = 256 * 1024  # bytes; one for all tunnels of the worker, empty between two events


class Connection(Protocol):
    """A client's connection in whichever phase it is."""

    session: Session
    client: Client
    deadline: float
    """On the poller's clock; when it has passed, `expire` is called."""

    def expire(self) -> None:
        """It took too long."""

    def cut(self, reason: str) -> None:
        """It may not go on."""


class Pending(Protocol):
    """What a client waits for."""

    def cancel(self) -> None:
        """Forget it."""


class Core:
    """One worker's state: who may do what, and who is doing it.

    Args:
        send: sends a message to the daemon.
        accounts: counts the users, here and in the other workers.
        recorder: takes the sessions that ended.
        number: of the worker.
        salts: those that clients of all workers have used; None: nobody else's are known.
    """

    def __init__(
        self,
        poller: Poller,
        send: Callable[[Verify | Attempts | Log | Report], None],
        accounts: Accounts,
        recorder: Recorder,
        number: int = 0,
        salts: Salts | None = None,
    ) -> None:
        self.poller = poller
        self.counters = WorkerCounters()
        self.resolver = Resolver(poller, self.counters)
        self.bans = Bans(poller, send, self.counters)
        self.credentials = Credentials(send, self.bans.tried, self.counters)
        self.accounts = accounts
        self.salts = salts or lone_salts()
        """The salts that clients of Shadowsocks have used."""
        self.shadowsocks: Shadowsocks | None = None
        """What its inbounds share, once there is one."""
        self.nobody = accounts.of("", self.credentials.user)
        """Who a client is before it has said so."""
        self.outgoing = Outgoing(self)
        self.guard = Guard(self)
        self.policy = CompiledPolicy(ALLOW_ALL)
        self.ruling: object = object()
        """Another one when what is allowed may have changed."""
        self._turn: Timer | None = None
        self.connections: set[Connection] = set()
        self.pipes = Pipes()
        self.waiting = Waiting()
        """Datagrams that wait."""
        self.background = Background(poller)
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self.rules = Rules(self.background, self.set_policy)
        self._send = send
        self.recorder = recorder
        self._record = recorder.record
        self._told = Told()
        self.trace_ratio = 0.0
        """How many of the sessions are traced (`trace`): 0.0 none, 1.0 all."""
        self._begin = recorder.begin
        self._lost = recorder.lost
        self._quiet_until: dict[str, float] = {}
        self._count = 0
        self._peak = 0
        self._bytes_sent = 0
        self._bytes_received = 0
        self._ids = SessionIds(number, secrets.randbits(14), recorder.latest)
        poller.call_later(SWEEP, self._sweep)

    def log(self, level: str, event: str, **fields: Any) -> None:
        """Write a line to the daemon's log."""
        self._send(Log(level, event, fields))

    def log_rarely(self, event: str, **fields: Any) -> None:
        """Write a line that clients can cause, at most one in ten seconds of each kind."""
        if self._quiet_until.get(event, 0) <= self.poller.now:
            self._quiet_until[event] = self.poller.now + QUIET
            self.log("info", event, **fields)

    def next_session_id(self, now: float) -> int:
        """An identifier that no other session has; `now` in seconds since the epoch."""
        self._count += 1
        number = self._ids.next(now)
        self._begin(number)
        return number

    def trace(self, session: Session) -> None:
        """Note the steps of a session that begins, if it is one of those."""
        if random.random() < self.trace_ratio:  # noqa: S311 -- not a secret
            session.phases = [Phase("accepted", session.started)]

    def apply(self, snapshot: Snapshot) -> None:
        """Work from this snapshot from now on, and cut what it forbids."""
        renewed = self.credentials.replace_users(snapshot.users)
        self.outgoing.configure(snapshot.egress)
        self.resolver.configure(snapshot.egress.resolving)
        for connection in list(self.connections):
            user, holder, entry = connection.session.user, connection.client.account.name, connection.client.entry
            if user and (why := self._why_cut(user, entry)):
                connection.cut(why)
            elif renewed and connection.session.protocol == "shadowsocks" and canonical(user) in renewed:
                connection.cut("key_changed")
            elif holder and self._why_cut(holder, entry):  # between two requests; who asks next has to log in
                connection.client.forget(self.nobody)
        self.accounts.amend(snapshot.users, self.credentials.user)
        for connection in list(self.connections):
            if why := connection.client.unwelcome():
                connection.cut(why)
        self._rule_anew()  # users may be in other groups

    def account(self, name: str) -> Account:
        """How a user stands in this worker."""
        return self.accounts.of(name, self.credentials.user)

    def pool(self, name: str) -> Pool:
        """The rules that count for a user."""
        user = self.credentials.user(name)
        return self.policy.pool(name, user.groups if user is not None else ())

    def groups(self, name: str) -> tuple[str, ...]:
        """All groups of a user, in the form under which they are compared."""
        user = self.credentials.user(name)
        return groups_of(self.policy.policy, name, user.groups if user is not None else ())

    def set_policy(self, policy: CompiledPolicy) -> None:
        """Decide by these rules from now on, and close what they forbid."""
        self.policy = policy
        self._rule_anew()

    def _rule_anew(self) -> None:
        """What is allowed may have changed: by new rules, or by the hour."""
        self.ruling = object()
        revise(self)
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        now = time.time()
        change = self.policy.next_change(now)
        if change != float("inf"):
            # The clock on the wall may be set meanwhile.
            self._turn = self.poller.call_later(min(max(change - now, 0) + SOON, CLOCK), self._rule_anew)

    def budget(self, account: Account) -> int:
        """Bytes that a user may move until this is asked again; 0: none, and all connections of the user are cut."""
        budget = account.budget()
        if budget > 0:
            return budget
        self.cut_user(account, "over_quota")
        return 0

    def cut_user(self, account: Account, reason: str) -> None:
        """Close all connections of a user."""
        for connection in [each for each in self.connections if each.client.account is account]:
            self.counters.quota_cuts += reason == "over_quota"
            connection.cut(reason)

    def may_stay(self, user: str, entry: Entry) -> bool:
        """Whether a client of this inbound may (still) be this user."""
        if self.credentials.allowed(user):
            return True
        return canonical(user) == canonical(entry.inbound.anonymous_user) and not self.credentials.known(user)

    def _why_cut(self, name: str, entry: Entry) -> str:
        if self.may_stay(name, entry):
            # Removed and added again: another one under the same name.
            return "user_removed" if self.accounts.moved(name, self.credentials.user) else ""
        user = self.credentials.user(name)
        return user.blocked if user is not None else "user_removed"

    def cut_inbound(self, number: int) -> None:
        """Close what came in by listening sockets that are no more."""
        for connection in [each for each in self.connections if each.client.entry.number == number]:
            connection.cut("inbound_removed")

    def end(self, connection: Connection) -> None:
        """A client is gone; its last session is complete."""
        self.connections.discard(connection)
        connection.client.leave()
        self.book(connection.session)

    def leave(self, connection: Connection) -> None:
        """A client is gone, whose session was booked before."""
        self.connections.discard(connection)
        connection.client.leave()

    def book(self, session: Session) -> None:
        """A session is complete."""
        self._bytes_sent += session.bytes_sent
        self._bytes_received += session.bytes_received
        if session.phases is not None:
            session.mark("ended", session.ended)
        self._record(session)

    def report(self) -> Report:
        """The counters, and what is new about the sessions since the last call."""
        journaled = self.recorder.settle()
        # Of some sessions the daemon does not hear that they have ended: it is told which have not. Those that wait
        # have ended, too, and it will hear of them.
        whole = self.recorder.lost != self._lost and not self.recorder.waiting
        if whole:
            self._lost = self.recorder.lost
            self._told = Told()
        news = self._told.news(self.connections)
        counters = self.counters
        counters.loop_seconds = self.poller.busy
        counters.shaping_waits = self.accounts.lanes.waits
        counters.shaping_seconds = self.accounts.lanes.waited
        counters.sessions_lost = self.recorder.lost
        return Report(
            opened=self._count,
            active=news.active,
            bytes_sent=self._bytes_sent + news.sent,
            bytes_received=self._bytes_received + news.received,
            journaled=journaled,
            live=news.fresh,
            moved=news.moved,
            whole=whole,
            upstreams=self.outgoing.report(),
            counters=copied(counters),
            gauges=gauges(self),
        )

    def abandon(self, reason: str) -> None:
        """The worker ends at once: what is live is written down as it is."""
        now = time.time()
        for connection in self.connections:
            session = connection.session
            if session.id and not session.ended:
                session.end("closed", reason, now)
                self._record(session)
        self.recorder.settle()
        self.recorder.leave_behind()

    def _sweep(self) -> None:
        self.poller.call_later(SWEEP, self._sweep)
        now = self.poller.now
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.expire()
        self._peak = max(self._peak, len(self.connections))
        if self._peak >= CROWD and len(self.connections) < self._peak // 4:
            self._peak = len(self.connections)
            self.poller.call_later(TIDY, self._tidy)

    def _tidy(self) -> None:
        """A crowd has left: give back what it took. Sets and dicts never shrink by themselves."""
        self.connections = set(self.connections)
        self.poller.tidy()
        gc.collect()  # the interpreter lets go of the objects that it keeps for later, and of their memory
