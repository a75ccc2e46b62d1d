"""A client of Shadowsocks, until it is known whose it is and what it wants.

    accepted ──► [Preface] ──► Unsealing ──► Passage, over a SealedStream
                                         └─► Handshake, where it is not said at once where to

Who does not know a key learns nothing: whether its bytes are garbage, too few, sealed with a wrong key, out of date, or
played back, it never gets a byte, everything it sends is read, and it is closed when the time for handshakes is over,
counted from its coming; or at once when it closes itself.
"""

from __future__ import annotations

import base64
import os
import time
from functools import partial
from typing import Any

from vpn.domain.session import Session, Status
from vpn.domain.shadowsocks import Method, method_of
from vpn.protocols import socks_address
from vpn.protocols.errors import ProtocolError, SocksError
from vpn.protocols.shadowsocks_chunks import Opener, Sealer
from vpn.protocols.shadowsocks_header import Beginning, ClockSkew, begin, named, needed, without_padding
from vpn.protocols.shadowsocks_keys import TAG
from vpn.proxy.accounts import source_key
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.entry import Entry
from vpn.proxy.handshake import Handshake
from vpn.proxy.keyring import UserKey
from vpn.proxy.passage import Passage
from vpn.proxy.phase import Phase
from vpn.proxy.poller import EDGE, ENDING, READ
from vpn.proxy.preface import Preface
from vpn.proxy.recognition import Found
from vpn.proxy.sealed import SealedStream
from vpn.proxy.shadowsocks import shared
from vpn.proxy.stream import DONTWAIT

CHUNK = 4096  # bytes read at a time
LAST_READS = 4  # buffers read before a client is closed, so that what is unread does not make the end a reset


class Unsealings:
    """How the clients of a Shadowsocks inbound arrive."""

    def __init__(self, core: Core, entry: Entry) -> None:
        self.core = core
        self.method: Method = method_of(entry.inbound.method)
        self.identified = self.method.identified
        self.inbound_key = base64.b64decode(entry.inbound.key) if self.identified else b""
        self.needed = needed(self.method)
        self.shared = shared(core)
        self.keyring = self.shared.keyring(self.method)
        self.keyring.all()  # made now rather than when the first client waits

    def close(self) -> None:
        """Nothing goes on beside the clients."""

    def welcome(self, sock: Any, session: Session, client: Client) -> None:
        """Take a client that has been accepted.

        Raises:
            OSError: the kernel has no room for it.
        """
        session.protocol = "shadowsocks"
        deadline = self.core.poller.now + client.entry.timeouts.handshake
        if client.entry.trusts(session.source_host):
            then = partial(self._behind_preface, sock, session, client, deadline)
            Preface(self.core, sock, session, client, then).begin(registered=False)
        else:
            Unsealing(self, sock, session, client, deadline).start()

    def _behind_preface(self, sock: Any, session: Session, client: Client, deadline: float, early: bytes) -> None:
        Unsealing(self, sock, session, client, deadline).take_over(early)


class Unsealing(Phase):
    """One client that is nobody yet."""

    __slots__ = ("_begun", "_drained", "_held", "_inbound", "_key", "_reason", "_source", "_trying")

    def __init__(self, inbound: Unsealings, sock: Any, session: Session, client: Client, deadline: float) -> None:
        super().__init__(inbound.core, sock, session, client, deadline)
        self._inbound = inbound
        self._held = b""
        self._key: UserKey | None = None
        self._begun: Beginning | None = None
        self._reason = ""  # why it is nobody and stays so; empty: that is not decided
        self._trying = False  # keys, for some turns of the loop
        self._drained = True
        self._source = source_key(session.source_host)[0]
        if self._core.bans.source_banned(session.source_host):
            self._reason = "source_banned"

    def start(self) -> None:
        """Listen to a client that has been accepted.

        Raises:
            OSError: the kernel has no room for it.
        """
        data: bytes | None = None
        error: OSError | None = None
        try:
            data = self._sock.recv(CHUNK, DONTWAIT)
        except BlockingIOError:
            pass
        except OSError as caught:
            error = caught
        self.begin(registered=False)  # it tells of what is there and unread
        if error is not None:
            self._close("client_gone")
        elif data is not None:
            self._drained = len(data) < CHUNK
            self._hear(data)

    def take_over(self, early: bytes) -> None:
        """Listen to a client that is registered already, and has sent these bytes; there may be more."""
        self.begin(registered=True)
        if early:
            self._drained = False
            self._hear(early)
        self._core.poller.soon(partial(self._on_event, ENDING))

    def expire(self) -> None:
        """The client had its time."""
        for _ in range(LAST_READS):
            try:
                if not self._sock.recv_into(self._core.buffer, 0, DONTWAIT):
                    break
            except OSError:
                break
        self._close("handshake_timeout")

    def _on_event(self, mask: int) -> None:
        if self.session.ended or self not in self._core.connections:
            return  # it was handed on before its turn came
        if self._trying:
            self._drained = False
        elif self._reason:
            self._discard_more()
        else:
            self._read(mask)

    def _read(self, mask: int) -> None:
        """Read until it is known whose the stream is, and the first chunk is whole: that is 64 KiB at most."""
        more = True
        while more:
            try:
                data = self._sock.recv(CHUNK, DONTWAIT)
            except BlockingIOError:
                self._drained = True
                return
            except OSError:
                self._close("client_gone")
                return
            self._drained = 0 < len(data) < CHUNK and not mask & ENDING
            more = self._hear(data) and not self._drained

    def _hear(self, data: bytes) -> bool:
        """The client said this; whether more is wanted."""
        if not data:
            self._close("client_closed")
            return False
        if self._reason:
            self._discard(self._reason)
            return False
        self._held += data
        if self._begun is not None:
            return self._open_first(self._begun)
        if len(self._held) >= self._inbound.needed:
            return self._recognise()
        return True

    def _recognise(self) -> bool:
        """Find out whose stream this is; whether more is wanted."""
        inbound = self._inbound
        if inbound.identified:
            key = inbound.keyring.named(named(inbound.method, inbound.inbound_key, self._held))
            outcome = self._attempt(key) if key is not None else None
            return self._recognised(Found(key, outcome) if key is not None and outcome is not None else None)
        for user in inbound.shared.visitors.recent(self._source):
            key = inbound.keyring.of(user)
            if key is not None and (outcome := self._attempt(key)) is not None:
                return self._recognised(Found(key, outcome))
        keys = iter(inbound.keyring.all())
        self._trying = inbound.shared.recognition.wait(self._source, self._attempt, keys, self._tried)
        return False if self._trying else self._recognised(None)

    def _attempt(self, key: UserKey) -> Beginning | ProtocolError | None:
        """Try one key."""
        try:
            return begin(self._inbound.method, key.key, self._held, time.time())
        except ProtocolError as error:
            return error

    def _tried(self, found: Found[Beginning | ProtocolError] | None) -> None:
        """All keys were tried, or the right one was found."""
        self._trying = False
        if self.session.ended:
            return
        if found is not None and self._inbound.keyring.of(found.key.user) is not found.key:
            found = None  # the user has another key by now, or is none any more
        if self._recognised(found) and not self._drained:
            self._read(ENDING)

    def _recognised(self, found: Found[Beginning | ProtocolError] | None) -> bool:
        """The stream is this user's, or nobody's; whether more is wanted."""
        core = self._core
        if found is None:
            core.counters.refused_remembered += 1
            return self._discard("authentication_failed")
        key, outcome = found
        self._key = key
        source = self.session.source_host
        if isinstance(outcome, ProtocolError):
            if isinstance(outcome, ClockSkew):
                fields = {"user": key.user, "offset": outcome.offset, "inbound": self.session.inbound}
                core.log_rarely("a client's clock is wrong", **fields)
                return self._discard("clock_skew")
            return self._discard(outcome.reason)
        if not core.salts.fresh(outcome.salt):
            return self._discard("replayed")
        if core.bans.user_banned(key.user, source):
            return self._discard("user_banned")
        core.counters.accepted_remembered += 1
        core.bans.tried(key.user, source, True)
        if not self._inbound.identified:
            self._inbound.shared.visitors.remember(self._source, key.user)
        self.session.user = key.user
        user = core.credentials.user(key.user)
        if user is not None and user.blocked:
            self._reject(user.blocked)
            return False
        self._begun = outcome
        self._held = self._held[outcome.taken :]
        return self._open_first(outcome)

    def _open_first(self, begun: Beginning) -> bool:
        """Open the first chunk, once it is whole; whether more is wanted."""
        opener = begun.opener
        if not opener.whole(len(self._held)):
            return True
        taken = opener.length + TAG
        try:
            early = opener.open_first(self._held[:taken])
            if self._inbound.method.edition == 2022:
                early = without_padding(early)
        except ProtocolError as error:
            return self._discard(error.reason)
        self._hand_on(begun.salt, opener, self._held[taken:], early)
        return False

    def _hand_on(self, salt: bytes, opener: Opener, held: bytes, early: bytes) -> None:
        """It is known who that is, and what it begins with."""
        core, method = self._core, self._inbound.method
        assert self._key is not None
        own = os.urandom(method.key_size)
        if method.edition == 1:
            core.salts.note(own)  # or what we say could be played back to us
        sealer = Sealer(method, self._key.key, own, salt)
        stream = SealedStream(self._sock, opener, sealer, self._inbound.shared.scratch, held, drained=self._drained)
        core.connections.discard(self)
        try:
            host, port, end = socks_address.unpack(early)
        except SocksError:
            handshake = Handshake(core, stream, self.session, self.client, self._key.user)
            handshake.take_over(early, unread=stream.unread)
        else:
            Passage(core, stream, self.session, self.client, early[end:]).start(host, port)

    def _discard(self, reason: str) -> bool:
        """It is nobody, and does not hear of it: read and throw away what it sends until its time is over."""
        self._reason = reason
        self._held = b""
        self.session.user = ""  # what becomes of whoever's key it was is not to show here
        self._discard_more()
        return False

    def _discard_more(self) -> None:
        try:
            # One buffer per event: a client that keeps sending does not hold up the others.
            if self._sock.recv_into(self._core.buffer, 0, DONTWAIT):
                self._core.poller.modify(self._sock.fileno(), READ | EDGE)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close("client_closed")

    def _reject(self, reason: str) -> None:
        """Its key is good, and it may not come in now."""
        self._core.counters.note_blocked(reason)
        self._end("rejected_by_acl", reason)

    def _close(self, reason: str, status: Status = "failed") -> None:
        if self._reason and self._key is not None:
            self.session.user = self._key.user
        super()._close(reason if status == "closed" else self._reason or reason, status)

    def _end(self, status: Status, reason: str) -> None:
        self.session.end(status, reason, time.time())
        self._core.poller.close(self._sock)
        self._core.end(self)
