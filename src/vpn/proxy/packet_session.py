"""A Shadowsocks client's datagrams: one session of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from vpn.domain.session import Session
from vpn.protocols import socks_address
from vpn.protocols.errors import ProtocolError
from vpn.protocols.packet_window import Window
from vpn.protocols.shadowsocks_keys import AEAD
from vpn.protocols.shadowsocks_packet import LARGEST, Seal
from vpn.protocols.socks_address import IPV4
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.datagrams import HEADROOM, Datagrams, Target
from vpn.proxy.keyring import UserKey
from vpn.proxy.packet_socket import Source

if TYPE_CHECKING:
    from vpn.proxy.packet_sessions import PacketSessions

_MOST_QUEUED = 64  # datagrams that wait because of the user's rate; more are lost


_PEERS_OF_USER = 1 << 16  # destinations that a user's sessions share, each of which costs some 600 bytes ...
_LEAST_PEERS = 128  # ... and of which each session has so many in any case


class Peer(NamedTuple):
    """What is known of a client when its session begins."""

    mark: object
    """Tells the session from the others of an inbound."""
    key: UserKey
    """Whose it is."""
    source: Source
    """Where the client is."""
    cipher: AEAD | None
    """Opens the client's datagrams, where one does so for all of them."""
    window: Window
    """The numbers of those that have come."""


class PacketSession(Datagrams):
    """What one client sends by one socket of its own.

    Args:
        sessions: to which it belongs, and by whose socket the client is answered.
        seal: seals the answers.
    """

    __slots__ = (
        "_left",
        "_local",
        "_queue",
        "_seal",
        "_sessions",
        "_turn",
        "cipher",
        "key",
        "mark",
        "source",
        "window",
    )

    def __init__(
        self, core: Core, session: Session, client: Client, sessions: PacketSessions, peer: Peer, seal: Seal
    ) -> None:
        super().__init__(core, session, client, sessions.sock.family)
        self._sessions = sessions
        self.mark, self.key, self.source, self.cipher, self.window = peer
        self._seal = seal
        self._queue: list[tuple[bytes, int]] = []  # short, and empty nearly always
        self._local = sessions.local
        self._left = 0  # bytes that may go in this turn of the loop
        self._turn = 0.0

    def take(self, body: bytes, start: int) -> None:
        """One datagram of the client's: ATYP ADDR PORT DATA begin at `start`."""
        now = self._core.poller.now
        self._local = self._sessions.local
        self.deadline = now + self.client.entry.timeouts.udp
        if self._queue:
            self._enqueue(body, start)
            return
        if self._turn != now or self._left <= 0:
            self._turn = now
            self._see_ruling()
            self._left = self._room()
            if not self._left:
                self._enqueue(body, start)
                return
        self._left -= len(body) - start
        self._relay_out(body, start)

    def move(self, source: Source) -> None:
        """The client is somewhere else now, if it may."""
        elsewhere = source[0] != self.source[0]
        why = self._sessions.moved(self, source)
        if not why:
            self.source = source
            why = self.client.move(source[0], self._core.poller.now) if elsewhere else ""
        if why:
            self._end("closed", why)
        elif elsewhere:
            self.session.source_host, self.session.source_port = source[:2]
            self._judge_anew()  # rules may look at where a client is

    def _room(self) -> int:
        """Bytes that may go now; 0: none, or the session has ended."""
        return min(self._core.budget(self.client.account), self.client.account.up.allowance())

    def _enqueue(self, body: bytes, start: int) -> None:
        """Keep what may not go yet. The socket is that of all clients, so there is no leaving it unread."""
        if self.session.ended:
            return
        if len(self._queue) >= _MOST_QUEUED or not self._core.waiting.take(self.session.user, len(body)):
            self._core.counters.datagrams_dropped += 1
            return
        self._queue.append((body, start))
        if len(self._queue) == 1:
            self.client.account.up.wait(self, self._go_on)

    def _go_on(self) -> None:
        """It is our turn."""
        self._see_ruling()
        left = self._room()
        while self._queue and left > 0:
            body, start = self._queue.pop(0)
            self._core.waiting.give(self.session.user, len(body))
            left -= len(body) - start
            self._relay_out(body, start)
        if self._queue and not self.session.ended:
            self.client.account.up.wait(self, self._go_on)

    def _most_peers(self) -> int:
        share = _PEERS_OF_USER // self._sessions.count_of(self.key.user)
        return min(super()._most_peers(), max(share, _LEAST_PEERS))

    def _held_back(self) -> bool:
        return bool(self._queue) or super()._held_back()

    def _relay_out(self, body: bytes, start: int) -> None:
        if len(body) < start + 7 or body[start] != IPV4:
            self._relay_other(body, start)
            return
        end = start + 7
        header = body[start:end]
        try:
            target = self._targets[header]
        except KeyError:
            target = self._look_at(header)
        if target is None:
            return
        try:
            self._sent(target[0].sendto(memoryview(body)[end:], target[1]))
        except OSError:
            return  # no room, too large, or unreachable: datagrams may be lost

    def _look_at(self, header: bytes) -> Target | None:
        """Where a datagram to an IPv4 address goes."""
        try:
            host, port, _ = socks_address.unpack(header)
        except ProtocolError:
            return None
        return self._judge(header, host, port, header[1:5])

    def _relay_other(self, body: bytes, start: int) -> None:
        """A datagram to IPv6, to a name, or to nowhere."""
        try:
            host, port, end = socks_address.unpack(body, start)
        except ProtocolError:
            return
        self._relay_to(host, port, body[end:])

    def _header(self, host: str, port: int) -> bytes:
        return socks_address.pack(host, port)

    def _deliver(self, header: bytes, count: int) -> bool:
        core = self._core
        view, start = core.view, HEADROOM - len(header)
        view[start:HEADROOM] = header
        sealed = self._seal(view, start, HEADROOM + count, int(time.time()), self._sessions.salts.draw())
        if len(sealed) > LARGEST:
            core.counters.datagrams_dropped += 1
            return False
        self._sessions.sock.send(sealed, self.source, self._local)
        return True

    def _close(self) -> None:
        self.client.account.up.cancel(self)
        self._core.waiting.give(self.session.user, sum(len(body) for body, _ in self._queue))
        self._queue.clear()
        self._sessions.forget(self)
