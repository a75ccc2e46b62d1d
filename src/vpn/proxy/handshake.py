"""A client from accept until its tunnel stands.

The handshake drives a parser (vpn.protocols): it feeds it bytes, and does what it asks for. It alone knows
sockets; the parser alone knows the protocol.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from vpn.domain.session import Session, Status
from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import Answer, Authenticate, Connect, Connected, Parser, Refusal, Refused, Send
from vpn.protocols.reader import Reader
from vpn.proxy.connector import Connector, Outcome, Reached
from vpn.proxy.core import Core
from vpn.proxy.farewell import Farewell
from vpn.proxy.poller import EDGE, ENDING, HANGUP, READ
from vpn.proxy.relay import Relay

CHUNK = 4096  # bytes read at a time while the handshake lasts
_BURST = 4  # such reads before the others have their turn


class Speaker(NamedTuple):
    """A protocol that an inbound speaks: its name and its parser."""

    protocol: str
    parse: Callable[[Reader], Parser]


Speakers = dict[int, Speaker]
"""Which protocol a first byte belongs to."""


class Handshake:
    """One client that has no tunnel yet."""

    __slots__ = (
        "_connector",
        "_core",
        "_parser",
        "_reader",
        "_sock",
        "_speakers",
        "_unread",
        "_waiting",
        "deadline",
        "session",
    )

    def __init__(self, core: Core, sock: socket.SocketType, session: Session, speakers: Speakers) -> None:
        self._core = core
        self._sock = sock
        self.session = session
        self._speakers = speakers
        self._reader = Reader()
        self._parser: Parser | None = None
        self._connector: Connector | None = None
        self._waiting = False  # for a verdict or a connection; the client is not read meanwhile
        self._unread = False  # the kernel may hold bytes that it will not tell of again
        self.deadline = core.poller.now + core.timeouts.handshake

    def start(self) -> None:
        """Listen to the client.

        Raises:
            OSError: the kernel has no room for it.
        """
        self._core.poller.register(self._sock.fileno(), self._on_event, READ | EDGE)
        self._core.connections.add(self)

    def expire(self) -> None:
        """The client was too slow, or the destination was."""
        if self._connector is not None:
            self._connector.cancel()
            self._unreached(Refusal.TIMED_OUT, "")
        else:
            self._close("failed", "handshake_timeout")

    def cut(self, reason: str) -> None:
        """The client may not go on."""
        self._close("closed", reason)

    def _on_event(self, mask: int) -> None:
        if self._waiting:
            self._unread = True
            if mask & HANGUP:
                self._close("failed", "client_gone")
            return
        self._read(mask)

    def _read(self, mask: int) -> None:
        for _ in range(_BURST):
            if self._waiting:
                return
            try:
                data = self._sock.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                self._close("failed", "client_gone")
                return
            if not data:
                self._close("failed", "client_closed")
                return
            self._reader.feed(data)
            # A full read, or an end of stream behind it, is not told again.
            self._unread = len(data) == CHUNK or bool(mask & ENDING)
            self._advance(None)
            if not self._unread or self.session.ended:
                return
        if not self._waiting:
            self._core.poller.soon(self._read_on)

    def _read_on(self) -> None:
        """Go on where a burst had to stop for the others' sake."""
        if self._parser is not None and not self._waiting and not self.session.ended:
            self._read(ENDING)

    def _advance(self, answer: Answer) -> None:
        """Let the parser go on until it wants bytes, or something that takes time."""
        try:
            if self._parser is None:
                self._parser = self._begin()
            step = self._parser.send(answer)
            while step is not None:
                match step:
                    case Send():
                        self._send(step.data)
                        step = self._parser.send(None)
                    case Authenticate():
                        verdict = self._authenticate(step)
                        if verdict is None:
                            return
                        step = self._parser.send(verdict)
                    case Connect():
                        self._connect(step)
                        return
                    case _:  # Bind and Associate are not served yet
                        step = self._parser.send(Refused(Refusal.FAILED))
        except StopIteration:
            pass
        except ProtocolError as error:
            self._refuse(error)
        except OSError:
            self._close("failed", "client_gone")

    def _begin(self) -> Parser:
        speaker = self._speakers.get(self._reader.peek()[0])
        if speaker is None:
            raise ProtocolError("unknown_protocol")
        self.session.protocol = speaker.protocol
        return speaker.parse(self._reader)

    def _send(self, data: bytes) -> None:
        # A reply is some hundred bytes at most: a client whose buffer does not take it reads nothing at all.
        if self._sock.send(data) != len(data):
            raise BlockingIOError

    def _authenticate(self, step: Authenticate) -> bool | None:
        core = self._core
        verdict = core.credentials.check(
            step.user, step.password, core.poller.now, partial(self._authenticated, step.user)
        )
        if verdict:
            self.session.user = step.user
        self._waiting = verdict is None
        return verdict

    def _authenticated(self, user: str, accepted: bool) -> None:
        """The verdict came later."""
        if self.session.ended:
            return
        if accepted:
            self.session.user = user
        self._go_on(accepted)

    def _go_on(self, answer: Answer) -> None:
        self._waiting = False
        self._advance(answer)
        if self._unread:
            self._read_on()

    def _connect(self, step: Connect) -> None:
        self._waiting = True
        self.session.host = step.host
        self.session.port = step.port
        self.deadline = self._core.poller.now + self._core.timeouts.connect
        self._connector = Connector(self._core, step.host, step.port, self._connected)
        self._connector.start()

    def _connected(self, outcome: Outcome) -> None:
        self._connector = None
        if not isinstance(outcome, Reached):
            self._unreached(outcome.why, outcome.detail)
            return
        self.session.address = outcome.address
        local = outcome.sock.getsockname()
        self._advance(Connected(local[0], local[1]))
        if self.session.ended:  # the welcome could not be delivered
            self._core.poller.close(outcome.sock)
            return
        self._core.connections.discard(self)
        relay = Relay(self._core, self.session, self._sock, outcome.sock)
        relay.start(self._reader.rest(), client_unread=self._unread, remote_unread=outcome.unread)

    def _unreached(self, why: Refusal, detail: str) -> None:
        self._connector = None
        self.session.status = "rejected_by_acl" if why is Refusal.NOT_ALLOWED else "failed"
        self.session.reason = detail or why.value
        self._go_on(Refused(why))

    def _refuse(self, error: ProtocolError) -> None:
        """Send the reply that the error carries, and say farewell."""
        if self.session.status == "active":
            self.session.status = "failed"
            self.session.reason = error.reason
        self._parser = None
        if not error.reply:
            self._close(self.session.status, self.session.reason)
            return
        try:
            self._send(error.reply)
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(self.session.status, self.session.reason)
            return
        self._core.connections.discard(self)
        Farewell(self._core, self._sock, self.session)

    def _close(self, status: Status, reason: str) -> None:
        if self.session.ended:
            return
        if self._connector is not None:
            self._connector.cancel()
        self.session.status = status
        self.session.reason = reason
        self.session.ended = time.time()
        self._core.poller.close(self._sock)
        self._core.end(self)
