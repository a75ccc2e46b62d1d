"""A client of Shadowsocks whose first bytes say where to, until its tunnel stands.

It has nothing more to say and is told nothing, so neither a parser nor a handshake is needed. Who says it in several
pieces, or wrongly, is heard by `Handshake` (vpn.proxy.handshake).
"""

from __future__ import annotations

import time

from vpn.domain.session import Session, Status
from vpn.protocols.events import Connect, Refusal
from vpn.proxy.admission import admit, note_allowed
from vpn.proxy.client import Client
from vpn.proxy.connector import Outcome, Reached, Unreached
from vpn.proxy.core import Core, Pending
from vpn.proxy.phase import Phase
from vpn.proxy.poller import HANGUP
from vpn.proxy.relay import Relay
from vpn.proxy.revision import may_go_on
from vpn.proxy.sealed import SealedStream


class Passage(Phase):
    """One client that is somebody, on its way to one destination.

    Args:
        stream: the client's, registered with the poller.
        early: what is for the destination, of what was read already.
    """

    __slots__ = ("_begun", "_early", "_guard", "_pending", "_ruling", "_unread")

    def __init__(self, core: Core, stream: SealedStream, session: Session, client: Client, early: bytes) -> None:
        super().__init__(core, stream, session, client, core.poller.now + client.entry.timeouts.connect)
        self._early = early
        self._unread = stream.unread
        self._pending: Pending | None = None
        self._guard = core.guard
        self._ruling = core.ruling  # by which the guard is chosen
        self._begun = 0.0  # when the destination was asked for, on the monotonic clock

    def start(self, host: str, port: int) -> None:
        """Go there, if that is allowed."""
        core, session = self._core, self.session
        self.begin(registered=True)
        traced = session.phases is not None
        if traced:
            session.mark("handshake", time.time())
        why, self._guard = admit(core, self.client, session, Connect(host, port))
        if why:
            self._refuse(why)
            return
        if traced:
            session.mark("ruled", time.time())
        self._begun = time.monotonic()
        self._pending = core.outgoing.connect(host, port, session, self._connected, self._guard)

    def expire(self) -> None:
        """The destination was too slow."""
        self._connected(Unreached(Refusal.TIMED_OUT, ""))

    def _on_event(self, mask: int) -> None:
        self._unread = True
        if mask & HANGUP:
            self._close("client_gone")

    def _connected(self, outcome: Outcome) -> None:
        if isinstance(outcome, Unreached):
            if outcome.why is Refusal.NOT_ALLOWED:
                self._refuse(outcome.detail or outcome.why.value)
            else:
                self._end("failed", outcome.detail or outcome.why.value)
        elif self._still_allowed(outcome):
            self._tunnel(outcome)
        else:
            self._core.poller.close(outcome.stream)
            self._refuse("policy_changed")

    def _still_allowed(self, outcome: Reached) -> bool:
        """Whether the rules have not changed meanwhile, or allow the address, which was not judged by these."""
        self.session.address = outcome.address
        if self._guard.looks_at_addresses:
            note_allowed(self._core, self.session)
        return self._ruling is self._core.ruling or may_go_on(self._core, self)

    def _tunnel(self, outcome: Reached) -> None:
        core, session = self._core, self.session
        reached = time.monotonic()
        session.connect_time = reached - self._begun
        if session.phases is not None:
            session.mark("connected", time.time())
        core.connections.discard(self)
        relay = Relay(core, session, self.client, self._sock, outcome.stream, reached)
        relay.start(self._early, client_unread=self._unread, remote_unread=outcome.unread, late=outcome.early)

    def _refuse(self, why: str) -> None:
        self._core.counters.note_blocked(why)
        self._end("rejected_by_acl", why)

    def _close(self, reason: str, status: Status = "failed") -> None:
        if status == "failed" and not self.session.ended:
            self._core.counters.note_error(reason)
        self._end(status, reason)

    def _end(self, status: Status, reason: str) -> None:
        if self.session.ended:
            return
        if self._pending is not None:
            self._pending.cancel()
        self.session.end(status, reason, time.time())
        self._core.poller.close(self._sock)
        self._core.end(self)
