"""Shadowsocks over UDP: the socket of an inbound, by which all its clients send and are answered.

    datagram ──► whose is it? ──► which session's? ──► come before? ──► PacketSession

One worker serves it, so what has come before is known there, and a client may go on from another address. What is not
authentic, or has come before, gets no answer, whatever it is.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from vpn.domain.shadowsocks import METHODS, Method
from vpn.protocols import shadowsocks_packet as packets
from vpn.protocols.errors import ProtocolError
from vpn.protocols.packet_window import Window
from vpn.protocols.shadowsocks_keys import AEAD, master_key
from vpn.proxy.accounts import source_key
from vpn.proxy.core import Core
from vpn.proxy.datagrams import BATCH
from vpn.proxy.entry import Entry
from vpn.proxy.keyring import Keyring, UserKey
from vpn.proxy.packet_session import Peer
from vpn.proxy.packet_sessions import PacketSessions
from vpn.proxy.packet_socket import Local, PacketSocket, Source
from vpn.proxy.recognition import Found, Recognition
from vpn.proxy.shadowsocks import shared

_LIKELY = 64  # users with sessions whose keys are tried before all others
_RATE = 16_384  # keys tried in a second: a key takes some 8 µs, so an eighth of a core, whatever comes
_MOST_WAITING = 1 << 20  # bytes of datagrams on which keys are to be tried


class PacketListener:
    """Serves the datagrams of one inbound. The socket belongs to the listener."""

    _entry: Entry
    _method: Method
    _headings: packets.Headings | None
    _keyring: Keyring

    def __init__(self, core: Core, sock: socket.socket, entry: Entry) -> None:
        self._core = core
        self.sock = PacketSocket(sock)
        self._sessions = PacketSessions(core, self.sock)
        self._recognition = Recognition[bytes](core.poller, _RATE)
        self._waiting = 0  # bytes of what waits there
        self._retired = self._closed = False
        self._open_entry(entry)
        core.poller.register(self.sock.fileno(), self._on_event, select.EPOLLIN)

    def serve(self, entry: Entry) -> None:
        """Serve sessions that begin from now on this way; those that could not be opened any more end."""
        before = self._entry.inbound
        if (before.method, before.key) == (entry.inbound.method, entry.inbound.key):
            self._entry = entry
            self._sessions.serve(entry, self._method)
            return
        self._sessions.cut("inbound_removed")
        self._open_entry(entry)

    def retire(self, drain: float) -> None:
        """Let no session begin any more; those that live have so many seconds."""
        self._retired = True
        self._sessions.retire(self.close)
        self._core.poller.call_later(drain, lambda: self._sessions.cut("inbound_removed"))

    def close(self) -> None:
        """Neither hear nor answer any more."""
        if not self._closed:
            self._closed = self._retired = True
            self._core.poller.close(self.sock)

    def _open_entry(self, entry: Entry) -> None:
        core, inbound = self._core, entry.inbound
        self._entry = entry
        self._method = method = METHODS[inbound.method]
        self._sessions.serve(entry, method)
        self._headings = packets.Headings(master_key(method, inbound.key)) if method.identified else None
        self._keyring = shared(core).keyring(method)

    def _on_event(self, _mask: int) -> None:
        core, sock = self._core, self.sock
        buffer, view = core.buffer, core.view
        take = self._take_headed if self._headings is not None else self._take_any
        for _ in range(BATCH):
            try:
                count, source, self._sessions.local = sock.receive(buffer)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP message about an answer of ours
            take(view[:count], source)
            if self._closed:
                return

    # --- whose it is

    def _take_headed(self, packet: memoryview, source: Source) -> None:
        """A datagram that says whose it is (SIP023)."""
        assert self._headings is not None
        try:
            header, name = self._headings.read(packet)
        except ProtocolError:
            self._core.counters.datagrams_unknown += 1
            return
        mark = header[:8] + name
        session = self._sessions.find(mark)
        if session is not None:
            key, cipher = session.key, session.cipher
        else:
            known = self._keyring.named(name)
            if known is None:
                self._core.counters.datagrams_unknown += 1
                return
            key, cipher = known, packets.session_cipher(self._method, known.key, header[:8])
        assert cipher is not None
        body = packets.open_headed(cipher, header, packet)
        if body is None:
            self._core.counters.datagrams_unknown += 1
            return
        self._hear(key, mark, header, body, 0, source, cipher)

    def _take_any(self, packet: memoryview, source: Source) -> None:
        """A datagram on which keys are to be tried."""
        session = self._sessions.find_at(source)
        likely = (session.key,) if session is not None else ()
        for key in likely or self._seen_at(source[0]):
            held = _open_with(self._method, packet, key)
            if held is not None:
                self._opened(key, held, packet, source)
                return
        if not self._retired and not self._core.bans.source_banned(source[0]):
            self._recognise(bytes(packet), source)

    def _recognise(self, packet: bytes, source: Source) -> None:
        """Try all keys, by and by."""
        attempt, host = partial(_open_with, self._method, packet), source[0]
        done = partial(self._recognised, self._keyring, packet, source, self._sessions.local)
        room = self._waiting + len(packet) <= _MOST_WAITING
        if room and self._recognition.wait(source_key(host)[0], attempt, self._likeliest(host), done):
            self._waiting += len(packet)
        else:
            self._core.counters.datagrams_dropped += 1

    def _seen_at(self, host: str) -> Iterator[UserKey]:
        """The keys of those who came from an address lately, by datagrams or not."""
        return self._known(shared(self._core).visitors.recent(source_key(host)[0]))

    def _known(self, users: Iterable[str]) -> Iterator[UserKey]:
        return (key for user in users if (key := self._keyring.of(user)) is not None)

    def _likeliest(self, host: str) -> Iterator[UserKey]:
        """All keys; first of those who came from there, then of those who are here from elsewhere."""
        return chain(self._seen_at(host), self._known(self._sessions.users(_LIKELY)), self._keyring.all())

    def _recognised(
        self, keyring: Keyring, packet: bytes, source: Source, local: Local, found: Found[bytes] | None
    ) -> None:
        """All keys were tried, or the right one was found."""
        self._waiting -= len(packet)
        if self._retired or keyring is not self._keyring:
            return  # it came before the inbound had another method
        if found is None or self._keyring.of(found.key.user) is not found.key:
            self._core.counters.datagrams_unknown += 1
            return
        self._sessions.local = local
        self._opened(found.key, found.outcome, packet, source)

    # --- which session's, and whether it has come before

    def _opened(self, key: UserKey, held: bytes, packet: bytes | memoryview, source: Source) -> None:
        """A datagram was opened with this key."""
        if self._method.edition == 2022:
            self._hear(key, (held[:8], key.user), held, held, packets.BLOCK, source, None)
            return
        salt = bytes(packet[: self._method.key_size])
        if self._sessions.marks.known(salt) or not self._sessions.memory.recent.fresh(salt):
            self._core.counters.datagrams_replayed += 1
            return
        mark = (source, key.user)
        session = self._sessions.find(mark)
        if session is None:
            session = self._sessions.begin(Peer(mark, key, source, None, Window()), salt)
            if session is None:
                return
        else:
            self._sessions.heard_at(session, source)
        session.take(held, 0)

    def _hear(
        self, key: UserKey, mark: object, header: bytes, body: bytes, at: int, source: Source, cipher: AEAD | None
    ) -> None:
        """An authentic datagram of a session (SIP022), whose header begins like this."""
        try:
            sent, start = packets.read_body(body, at)
        except ProtocolError:
            return
        ahead = sent - time.time()
        if not -packets.TOLERANCE <= ahead <= packets.TOLERANCE:
            self._note_skew(key, ahead)
            return
        session = self._sessions.find(mark)
        window = session.window if session is not None else self._sessions.window(mark)
        number = packets.read_header(header)[1]
        if not window.accept(number):
            self._core.counters.datagrams_replayed += 1
            return
        if session is None:
            session = self._sessions.begin(Peer(mark, key, source, cipher, window), header[: packets.BLOCK])
            if session is None:
                return
        elif source != session.source and number == window.highest:
            session.move(source)
            if session.session.ended:
                return
        session.take(body, start)

    def _note_skew(self, key: UserKey, ahead: float) -> None:
        inbound = self._entry.inbound.name
        self._core.log_rarely("a client's clock is wrong", user=key.user, offset=round(ahead), inbound=inbound)


def _open_with(method: Method, packet: bytes | memoryview, key: UserKey) -> bytes | None:
    """What a datagram holds, if this is its key."""
    if method.edition == 1:
        return packets.open_salted(method, key.key, packet)
    return packets.open_nonced(method, key.key, packet)
