"""Shadowsocks over UDP: the socket of an inbound, by which all its clients send and are answered.

    datagram ──► whose is it? ──► which session's? ──► come before? ──► PacketSession

One worker serves it, so what has come before is known there, and a client may go on from another address. What is not
authentic, or has come before, gets no answer, whatever it is.
"""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from vpn.domain.session import Session, Status
from vpn.domain.shadowsocks import METHODS
from vpn.protocols import shadowsocks_packet as packets
from vpn.protocols.errors import ProtocolError
from vpn.protocols.packet_window import Window
from vpn.protocols.shadowsocks_keys import AEAD, master_key
from vpn.proxy.accounts import source_key
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.datagrams import BATCH
from vpn.proxy.entry import Entry
from vpn.proxy.keyring import UserKey
from vpn.proxy.packet_memory import Past, Recent, Salts
from vpn.proxy.packet_session import PacketSession, Peer
from vpn.proxy.packet_socket import Local, PacketSocket, Source
from vpn.proxy.shadowsocks import shared
from vpn.proxy.trials import Trials

_MOST_SESSIONS = 8192  # of an inbound
_MOST_THERE = 1024  # of them from one address
_MOST_OF_USER = 1024
_LIKELY = 64  # users with sessions whose keys are tried before all others
_RECORD = 60.0  # seconds without another session of the same refusal
_MOST_REFUSALS = 1024  # that are remembered


class PacketListener:
    """Serves the datagrams of one inbound. The socket belongs to the listener."""

    entry: Entry
    salts: Salts
    """Of answers."""
    _trials: Trials

    def __init__(self, core: Core, sock: socket.socket, entry: Entry) -> None:
        self._core = core
        self.sock = PacketSocket(sock)
        self.local: Local = []
        """Where the datagram came to that is being looked at."""
        self._sessions: dict[object, PacketSession] = {}
        self._by_source: dict[Source, PacketSession] = {}
        self._there: Counter[str] = Counter()
        self._of: Counter[str] = Counter()
        self._refusals: dict[tuple[str, str, str], float] = {}
        self._past = Past()
        self._recent = Recent()
        self._retired = self._closed = False
        self._open_entry(entry)
        core.on_users.append(self._see_users)
        core.poller.register(self.sock.fileno(), self._on_event, select.EPOLLIN)

    def serve(self, entry: Entry) -> None:
        """Serve sessions that begin from now on this way; those that could not be opened any more end."""
        before = self.entry.inbound
        if (before.method, before.key) == (entry.inbound.method, entry.inbound.key):
            self.entry = entry
            return
        self.cut("inbound_removed")
        self._trials.close()
        self._open_entry(entry)

    def retire(self, drain: float) -> None:
        """Let no session begin any more; those that live have so many seconds."""
        self._retired = True
        self._trials.close()
        if self._sessions:
            self._core.poller.call_later(drain, lambda: self.cut("inbound_removed"))
        else:
            self.close()

    def cut(self, reason: str) -> None:
        """End all sessions."""
        for session in list(self._sessions.values()):
            session.cut(reason)

    def close(self) -> None:
        """Neither hear nor answer any more."""
        if not self._closed:
            self._closed = self._retired = True
            self._trials.close()
            self._core.on_users.remove(self._see_users)
            self._core.poller.close(self.sock)

    def forget(self, session: PacketSession) -> None:
        """A session has ended."""
        del self._sessions[session.mark]
        if self._by_source.get(session.source) is session:
            del self._by_source[session.source]
        self._leave(session.key.user, session.source[0])
        if self._method.edition == 2022:
            self._past.keep(session.mark, session.window, self._core.poller.now)
        if self._retired and not self._sessions:
            self.close()

    def moved(self, session: PacketSession, source: Source) -> str:
        """A session's client goes on from another place; why that cannot be, or nothing."""
        name, host = session.key.user, source[0]
        if host != session.source[0]:
            why = self._banned(name, host) or ("too_many_connections" if self._there[host] >= _MOST_THERE else "")
            if why:
                return why
            self._leave(name, session.source[0])
            self._enter(name, host)
        if self._by_source.get(session.source) is session:
            del self._by_source[session.source]
        self._by_source[source] = session
        return ""

    def _open_entry(self, entry: Entry) -> None:
        core, inbound = self._core, entry.inbound
        self.entry = entry
        self._method = method = METHODS[inbound.method]
        self.salts = Salts(packets.salt_size(method))
        self._headings = packets.Headings(master_key(method, inbound.key)) if method.identified else None
        self._keyring = shared(core).keyring(method)
        self._trials = Trials(core.poller, self._likeliest, self._try_key, self._found)

    def _see_users(self) -> None:
        """There may be other users, or other keys."""
        for session in list(self._sessions.values()):
            if self._keyring.of(session.key.user) is not session.key:
                session.cut("key_changed")

    def _on_event(self, _mask: int) -> None:
        core, sock = self._core, self.sock
        buffer, view = core.buffer, core.view
        take = self._take_headed if self._headings is not None else self._take_any
        for _ in range(BATCH):
            try:
                count, source, self.local = sock.receive(buffer)
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
        session = self._sessions.get(mark)
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
        session = self._by_source.get(source)
        likely = (session.key,) if session is not None else ()
        for key in likely or self._seen_at(source[0]):
            held = self._try_key(key, packet)
            if held is not None:
                self._opened(key, held, packet, source)
                return
        if self._retired or self._core.bans.source_banned(source[0]):
            return
        if not self._trials.submit(bytes(packet), source, self.local):
            self._core.counters.datagrams_dropped += 1

    def _seen_at(self, host: str) -> Iterator[UserKey]:
        """The keys of those who came from an address lately, by datagrams or not."""
        return self._known(shared(self._core).recognition.recent(source_key(host)[0]))

    def _known(self, users: Iterable[str]) -> Iterator[UserKey]:
        return (key for user in users if (key := self._keyring.of(user)) is not None)

    def _likeliest(self, host: str) -> Iterator[UserKey]:
        """All keys; first of those who came from there, then of those who are here from elsewhere."""
        return chain(self._seen_at(host), self._known(list(islice(self._of, _LIKELY))), self._keyring.all())

    def _try_key(self, key: UserKey, packet: bytes | memoryview) -> bytes | None:
        method = self._method
        if method.edition == 1:
            return packets.open_salted(method, key.key, packet)
        return packets.open_nonced(method, key.key, packet)

    def _found(self, key: UserKey | None, held: bytes, packet: bytes, source: Source, local: Local) -> None:
        if key is None:
            self._core.counters.datagrams_unknown += 1
        else:
            self.local = local
            self._opened(key, held, packet, source)

    # --- which session's, and whether it has come before

    def _opened(self, key: UserKey, held: bytes, packet: bytes | memoryview, source: Source) -> None:
        """A datagram was opened with this key."""
        if self._method.edition == 2022:
            self._hear(key, (held[:8], key.user), held, held, packets.BLOCK, source, None)
            return
        salt = bytes(packet[: self._method.key_size])
        if not self._recent.fresh(salt):
            self._core.counters.datagrams_replayed += 1
            return
        mark = (source, key.user)
        session = self._sessions.get(mark)
        if session is None:
            session = self._begin(Peer(mark, key, source, None, Window()), salt)
            if session is None:
                return
        else:
            self._by_source[source] = session
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
        session = self._sessions.get(mark)
        window = session.window if session is not None else self._past.recall(mark)
        number = packets.read_header(header)[1]
        if not window.accept(number):
            self._core.counters.datagrams_replayed += 1
            return
        if session is None:
            session = self._begin(Peer(mark, key, source, cipher, window), header[: packets.BLOCK])
            if session is None:
                return
        elif source != session.source and number == window.highest:
            session.move(source)
            if session.session.ended:
                return
        session.take(body, start)

    def _note_skew(self, key: UserKey, ahead: float) -> None:
        inbound = self.entry.inbound.name
        self._core.log_rarely("a client's clock is wrong", user=key.user, offset=round(ahead), inbound=inbound)

    # --- sessions

    def _begin(self, peer: Peer, opener: bytes) -> PacketSession | None:
        """A session for a client, if it may have one; `opener` is what no datagram that begins one may have had."""
        core, entry, key, source = self._core, self.entry, peer.key, peer.source
        host = source[0]
        if self._retired:
            return None
        if not core.salts.fresh(opener):
            core.counters.datagrams_replayed += 1
            return None
        if why := self._banned(key.user, host):
            self._refuse(key, source, "failed", why)
            return None
        if self._crowded(key.user, host) or not entry.take_place():
            core.counters.over_capacity += 1
            self._refuse(key, source, "failed", "too_many_connections")
            return None
        client = Client(entry, core.nobody)
        if why := client.become(core.account(key.user), host, core.poller.now):
            client.leave()
            core.counters.note_blocked(why)
            self._refuse(key, source, "rejected_by_acl", why)
            return None
        seal = packets.seal_of(self._method, key.key, secrets.token_bytes(8), opener[:8])
        session = PacketSession(core, self._record(key, source), client, self, peer, seal)
        self._sessions[peer.mark] = session
        self._by_source[source] = session
        self._enter(key.user, host)
        shared(core).recognition.remember(source_key(host)[0], key.user)
        core.connections.add(session)
        return session

    def _banned(self, name: str, host: str) -> str:
        bans = self._core.bans
        return "source_banned" if bans.source_banned(host) else "user_banned" if bans.user_banned(name, host) else ""

    def _crowded(self, name: str, host: str) -> bool:
        """Whether there are as many sessions as there may be."""
        full = len(self._sessions) >= _MOST_SESSIONS
        return full or self._there[host] >= _MOST_THERE or self._of[name] >= _MOST_OF_USER

    def _record(self, key: UserKey, source: Source) -> Session:
        """A session as it is told."""
        core, now = self._core, time.time()
        name = self.entry.inbound.name
        session = Session(core.next_session_id(now), name, source[0], source[1], now, "shadowsocks", key.user)
        if core.trace_ratio:
            core.trace(session)
            for step in ("handshake", "authenticated", "ruled"):
                if session.phases is not None:
                    session.mark(step, now)
        return session

    def _refuse(self, key: UserKey, source: Source, status: Status, reason: str) -> None:
        """Write down that a client may not have a session; it goes on asking, which is written down now and then."""
        now, refusals = self._core.poller.now, self._refusals
        what = (key.user, source[0], reason)
        if refusals.get(what, 0.0) > now:
            return
        refusals.pop(what, None)
        if len(refusals) >= _MOST_REFUSALS:
            del refusals[next(iter(refusals))]
        refusals[what] = now + _RECORD
        session = self._record(key, source)
        session.end(status, reason, session.started)
        self._core.book(session)

    def _enter(self, name: str, host: str) -> None:
        self._there[host] += 1
        self._of[name] += 1

    def _leave(self, name: str, host: str) -> None:
        for counts, each in ((self._there, host), (self._of, name)):
            counts[each] -= 1
            if not counts[each]:
                del counts[each]
