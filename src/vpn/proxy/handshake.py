"""A client from accept until its tunnel stands.

The handshake drives a parser (vpn.protocols): it feeds it bytes (vpn.proxy.intake), and does what it asks for. It
alone knows sockets; the parser alone knows the protocol.
"""

from __future__ import annotations

import time
from functools import partial
from select import EPOLLRDHUP
from typing import assert_never

from vpn.domain.session import Session, Status
from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import (
    Accept,
    Answer,
    Associate,
    Authenticate,
    Bind,
    Bound,
    Connect,
    Connected,
    Forward,
    Question,
    Refusal,
    Refused,
    Send,
)
from vpn.proxy.admission import admit, note_allowed
from vpn.proxy.association import Association
from vpn.proxy.binder import Binder
from vpn.proxy.client import Client
from vpn.proxy.connector import Outcome, Reached, Unreached
from vpn.proxy.core import Core, Pending
from vpn.proxy.exchange import Exchange
from vpn.proxy.farewell import Farewell
from vpn.proxy.intake import Intake
from vpn.proxy.kept import Kept
from vpn.proxy.poller import HANGUP
from vpn.proxy.relay import Relay
from vpn.proxy.revision import may_go_on
from vpn.proxy.stream import DONTWAIT, Stream, has_ended


class Handshake(Intake):
    """One client that has no tunnel yet. Its stream is registered with the poller by `start`.

    Args:
        user: who the client is without credentials; empty: it needs some.
        kept: the connection that the client's last HTTP request went over.
        first: whether this is the client's first request on this connection.
    """

    __slots__ = (
        "_clock",
        "_connect_to",
        "_guard",
        "_kept",
        "_pending",
        "_ruling",
        "_user",
    )

    def __init__(
        self,
        core: Core,
        stream: Stream,
        session: Session,
        client: Client,
        user: str = "",
        kept: Kept | None = None,
        *,
        first: bool = True,
    ) -> None:
        super().__init__(core, stream, session, client, first=first)
        self._user = user
        self._kept = kept
        self._pending: Pending | None = None
        self._guard = core.guard
        self._ruling = core.ruling  # by which the guard was chosen
        self._connect_to: Connect | Forward | None = None
        self._clock = 0.0  # when the client asked for the destination, and then when that was reached

    def expire(self) -> None:
        """The client was too slow, or the destination was."""
        if self._pending is not None:
            self._pending.cancel()
            self._unreached(Unreached(Refusal.TIMED_OUT, ""))
        else:
            self._close("failed", "handshake_timeout")

    def cut(self, reason: str) -> None:
        """The client may not go on."""
        self._close("closed", reason)

    def _told_meanwhile(self, mask: int) -> None:
        # A client that waits for a peer (BIND) has nothing to say; one that waits for a connection may have said all
        # it has to say.
        if mask & HANGUP or (mask & EPOLLRDHUP and isinstance(self._pending, Binder)):
            self._close("failed", "client_gone")

    def _begin(self) -> bool:
        """The first byte tells the protocol; False if it is none of ours."""
        if not self._first:
            self.deadline = self._core.poller.now + self.client.entry.timeouts.handshake
            self.session.started = time.time()
            self.session.id = self._core.next_session_id(self.session.started)
            self.session.user = ""
            if self._core.trace_ratio:
                self._core.trace(self.session)
        speaker = self.client.entry.speakers.get(self._reader.peek()[0])
        if speaker is None or not (self._first or speaker.protocol == "http"):
            self._refuse(ProtocolError("unknown_protocol"))
            return False
        if self._user and not self._core.may_stay(self._user, self.client.entry):
            self._user = ""  # no longer, since the connection was made
        self.session.protocol = speaker.protocol
        self.session.user = self._user
        self._parser = speaker.parse(self._reader, admitted=bool(self._user))
        if self.session.phases is not None:
            self.session.mark("handshake", time.time())
        return True

    def _advance(self, answer: Answer) -> None:
        """Let the parser go on until it wants bytes, or something that takes time."""
        assert self._parser is not None
        try:
            step = self._parser.send(answer)
            while step is not None:
                answer = None
                if isinstance(step, Send):
                    self._send(step.data)
                else:
                    answer = self._ask(step)
                    if answer is None:
                        return
                step = self._parser.send(answer)
        except StopIteration:
            if isinstance(self._pending, Association):
                self._core.connections.discard(self)
                self._pending.start()
        except ProtocolError as error:
            self._refuse(error)
        except OSError:
            self._close("failed", "client_gone")

    def _ask(self, step: Question) -> Answer:
        """Do what the parser asks for; None: the answer comes later."""
        if isinstance(step, Authenticate):
            return self._authenticate(step)
        if isinstance(step, Accept):
            self._accept()
            return None
        self._ruling = self._core.ruling
        why, self._guard = admit(self._core, self.client, self.session, step)
        if why:
            return self._not_allowed(why)
        if self.session.phases is not None:
            self.session.mark("ruled", time.time())
        match step:
            case Associate():
                return self._associate(step)
            case Connect() | Forward():
                self._connect(step)
            case Bind():
                self._bind(step)
            case _:
                assert_never(step)
        return None

    def _send(self, data: bytes) -> None:
        # A reply is some hundred bytes at most: a client whose buffer does not take it reads nothing at all.
        if self._stream.send(data, DONTWAIT) != len(data):
            raise BlockingIOError

    def _authenticate(self, step: Authenticate) -> bool | None:
        core, source = self._core, self.session.source_host
        banned = core.bans.user_banned(step.user, source)
        self.session.reason = "user_banned" if banned else ""  # unless HTTP's client tries another name
        if banned:
            return False
        verdict = core.credentials.check(
            step.user, step.password, source, core.poller.now, partial(self._authenticated, step.user)
        )
        if verdict:
            self._identified(step.user)
        self._waiting = verdict is None
        return verdict

    def _authenticated(self, user: str, accepted: bool) -> None:
        """The verdict came later."""
        if self.session.ended:
            return
        if accepted:
            self._identified(user)
        self._go_on(accepted)

    def _identified(self, user: str) -> None:
        """The client is this user."""
        self.session.user = user
        if self.session.phases is not None:
            self.session.mark("authenticated", time.time())

    def _go_on(self, answer: Answer) -> None:
        self._waiting = False
        self._advance(answer)
        if self._unread:
            self._read_on()

    def _wait(self, seconds: float) -> None:
        self._waiting = True
        self.deadline = self._core.poller.now + seconds

    def _connect(self, step: Connect | Forward) -> None:
        self._connect_to = step
        self._clock = time.monotonic()
        self._wait(self.client.entry.timeouts.connect)
        if self._kept is not None:
            kept, self._kept = self._kept, None
            known = not self._guard.looks_at_addresses  # else addresses are judged, and it may be another one now
            if known and isinstance(step, Forward) and kept.reaches(step.host, step.port, self.session.user):
                reached = kept.take()
                self.session.address = reached.address
                self.session.upstream = kept.upstream
                self._note_reached()
                self._exchange(step, reached, kept=True)
                return
            kept.close()
        self._pending = self._core.outgoing.connect(step.host, step.port, self.session, self._connected, self._guard)

    def _connected(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Reached):
            self._unreached(outcome)
            return
        if not self._still_allowed(outcome):
            return
        step = self._connect_to
        if isinstance(step, Forward):
            self._exchange(step, outcome, kept=False)
            return
        local = outcome.stream.getsockname()
        self._tunnel(Connected(local[0], local[1]), outcome)

    def _tunnel(self, answer: Connected, outcome: Reached) -> None:
        """The last word to the client, and then bytes."""
        self._advance(answer)
        if self.session.ended:  # the welcome could not be delivered
            self._core.poller.close(outcome.stream)
            return
        self._core.connections.discard(self)
        relay = Relay(self._core, self.session, self.client, self._stream, outcome.stream, self._clock)
        relay.start(self._reader.rest(), client_unread=self._unread, remote_unread=outcome.unread, late=outcome.early)

    def _exchange(self, request: Forward, outcome: Reached, *, kept: bool) -> None:
        self._core.connections.discard(self)
        exchange = Exchange(self._core, self.session, self.client, self._stream, outcome, request, self._next)
        exchange.start(self._reader.rest(), self._repeat if kept else None)

    def _repeat(self, early: bytes) -> None:
        """The kept connection was gone already: the same request on a fresh one."""
        assert self._connect_to is not None
        self._reader.feed(early)
        self._core.connections.add(self)
        self._core.poller.hand_over(self._stream.fileno(), self._on_event)
        self._connect(self._connect_to)

    def _next(self, early: bytes, kept: Kept | None) -> None:
        """An HTTP request was answered, and the connection is kept: there may be another."""
        before = self.session
        session = Session(0, before.inbound, before.source_host, before.source_port, time.time())
        session.server_name = before.server_name  # of the inbound's TLS
        session.user = before.user  # whose connection it is until the next request says so
        client = (self._core, self._stream, session, self.client, self._user)
        Handshake(*client, kept, first=False).take_over(early)

    def _bind(self, step: Bind) -> None:
        self._clock = time.monotonic()
        self._wait(self.client.entry.timeouts.bind)
        local = self._stream.getsockname()[0]
        reports = (self._advance, self._accepted, self._unreached)
        self._pending = binder = Binder(self._core, step, self._guard, local, *reports)
        binder.start()

    def _accept(self) -> None:
        assert isinstance(self._pending, Binder)
        self._waiting = True
        self._pending.accept()
        if self._unread and has_ended(self._stream):
            self._close("failed", "client_closed")

    def _accepted(self, outcome: Reached, peer: Connected) -> None:
        if self._still_allowed(outcome):
            self._tunnel(peer, outcome)

    def _still_allowed(self, outcome: Reached) -> bool:
        """Whether the rules have not changed meanwhile, or allow the address, which was not judged by these."""
        self._pending = None
        self.session.address = outcome.address
        if self._guard.looks_at_addresses:
            note_allowed(self._core, self.session)
        if self._ruling is self._core.ruling or may_go_on(self._core, self):
            self._note_reached()
            return True
        self._core.poller.close(outcome.stream)
        self._go_on(self._not_allowed("policy_changed"))
        return False

    def _note_reached(self) -> None:
        """The destination is reached, or there is a connection to it already."""
        now = time.monotonic()
        self.session.connect_time = now - self._clock
        self._clock = now
        if self.session.phases is not None:
            self.session.mark("connected", time.time())

    def _associate(self, step: Associate) -> Bound | Refused:
        """Make the association; it begins when the client has been told."""
        local = self._stream.getsockname()[0]
        try:
            association = Association(self._core, self.session, self.client, self._stream, local, step)
        except OSError as error:
            self.session.reason = "no_udp_socket"
            self._core.log("error", "no socket for an association", reason=error.strerror)
            return Refused(Refusal.FAILED)
        self._pending = association
        return association.address()

    def _not_allowed(self, why: str) -> Refused:
        self._core.counters.note_blocked(why)
        self.session.status = "rejected_by_acl"
        self.session.reason = why
        return Refused(Refusal.NOT_ALLOWED)

    def _unreached(self, outcome: Unreached) -> None:
        self._pending = None
        if outcome.why is Refusal.NOT_ALLOWED:
            self._go_on(self._not_allowed(outcome.detail or outcome.why.value))
            return
        self.session.status = "failed"
        self.session.reason = outcome.detail or outcome.why.value
        self._go_on(Refused(outcome.why))

    def _refuse(self, error: ProtocolError) -> None:
        """Send the reply that the error carries, and say farewell."""
        if self.session.status == "active":
            self.session.status = "failed"
            self.session.reason = self.session.reason or error.reason
            self._core.counters.note_error(self.session.reason)
        if not error.reply:
            self._close(self.session.status, self.session.reason)
            return
        try:
            self._send(error.reply)
        except OSError:
            self._close(self.session.status, self.session.reason)
            return
        self._drop_kept()
        self._core.connections.discard(self)
        Farewell(self._core, self._stream, self.session, self.client)

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _close(self, status: Status, reason: str) -> None:
        if self.session.ended:
            return
        if self._pending is not None:
            self._pending.cancel()
        idle = not self.session.id
        if status == "failed" and self.session.status == "active" and not idle:
            self._core.counters.note_error(reason)
        self._drop_kept()
        self.session.end(status, reason, time.time())
        self._core.poller.close(self._stream)
        if idle:
            self._core.leave(self)  # no request, no session
        else:
            self._core.end(self)
