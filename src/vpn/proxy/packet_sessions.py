"""The sessions of Shadowsocks' datagrams that an inbound has, and who may have one."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice

from vpn.domain.session import Session, Status
from vpn.domain.shadowsocks import Method
from vpn.protocols.packet_window import Window
from vpn.protocols.shadowsocks_packet import salt_size, seal_of
from vpn.proxy.accounts import source_key
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.entry import Entry
from vpn.proxy.packet_memory import Marks, PacketMemory, Salts
from vpn.proxy.packet_session import PacketSession, Peer
from vpn.proxy.packet_socket import Local, PacketSocket, Source
from vpn.proxy.shadowsocks import shared

_MOST_SESSIONS = 8192  # of an inbound
_MOST_THERE = 1024  # of them from one address
_MOST_OF_USER = 1024
_RECORD = 60.0  # seconds without another session of the same refusal
_MOST_REFUSALS = 1024  # that are remembered


class PacketSessions:
    """Begins sessions, finds them, and forgets them when they have ended.

    Args:
        sock: by which all clients are answered.
    """

    entry: Entry
    salts: Salts
    """Of answers."""
    memory: PacketMemory
    """Which datagrams have come, by this inbound and others."""
    _method: Method

    def __init__(self, core: Core, sock: PacketSocket) -> None:
        self._core = core
        self.sock = sock
        self.local: Local = []
        """Where the datagram came to that is being looked at."""
        self._sessions: dict[object, PacketSession] = {}
        self._by_source: dict[Source, PacketSession] = {}
        self._there: Counter[str] = Counter()
        self._of: Counter[str] = Counter()
        self._refusals: dict[tuple[str, str, str], float] = {}
        self.marks = Marks(core.salts.own_key)
        self._emptied: Callable[[], None] | None = None

    def serve(self, entry: Entry, method: Method) -> None:
        """Let sessions that begin from now on be of this inbound, which has this method."""
        self.entry = entry
        self._method = method
        self.memory = shared(self._core).memory(method)
        self.salts = Salts(salt_size(method), self.marks if method.edition == 1 else None)

    def retire(self, emptied: Callable[[], None]) -> None:
        """Let no session begin any more, and call this when the last one has ended."""
        self._emptied = emptied
        if not self._sessions:
            emptied()

    def all(self) -> list[PacketSession]:
        """Those that live."""
        return list(self._sessions.values())

    def users(self, most: int) -> list[str]:
        """So many of those who have one."""
        return list(islice(self._of, most))

    def count_of(self, user: str) -> int:
        """How many a user has who has one."""
        return self._of[user]

    def find(self, mark: object) -> PacketSession | None:
        """The session that is marked so."""
        return self._sessions.get(mark)

    def find_at(self, source: Source) -> PacketSession | None:
        """The one whose client was heard of there last."""
        return self._by_source.get(source)

    def heard_at(self, session: PacketSession, source: Source) -> None:
        """A session's client was heard of where it is, and where others may be."""
        self._by_source[source] = session

    def window(self, mark: object) -> Window:
        """Which numbers have come, of a session that does not live; it may have ended."""
        return self.memory.window(mark)

    def cut(self, reason: str) -> None:
        """End all sessions."""
        for session in self.all():
            session.cut(reason)

    def forget(self, session: PacketSession) -> None:
        """A session has ended."""
        del self._sessions[session.mark]
        if self._by_source.get(session.source) is session:
            del self._by_source[session.source]
        self._leave(session.key.user, session.source[0])
        if self._method.edition == 2022:
            self.memory.end(session.mark, session.window, self._core.poller.now)
        if self._emptied is not None and not self._sessions:
            self._emptied()

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

    def begin(self, peer: Peer, opener: bytes) -> PacketSession | None:
        """A session for a client, if it may have one; `opener` is what no datagram that begins one may have had."""
        core, entry, source = self._core, self.entry, peer.source
        user, host = peer.key.user, source[0]
        if self._emptied is not None:
            return None
        if why := self._banned(user, host):
            self._refuse(user, source, "failed", why)
            return None
        account = core.account(user)
        why = account.blocked or ("over_quota" if account.used_up else "")
        if not why and not core.salts.fresh(opener):  # who is refused all the time does not crowd out others' salts
            core.counters.datagrams_replayed += 1
            return None
        if why:
            core.counters.note_blocked(why)
            self._refuse(user, source, "rejected_by_acl", why)
            return None
        if self._crowded(user, host) or not entry.take_place():
            core.counters.over_capacity += 1
            self._refuse(user, source, "failed", "too_many_connections")
            return None
        client = Client(entry, core.nobody)
        if why := client.become(account, host, core.poller.now):
            client.leave()
            core.counters.note_blocked(why)
            self._refuse(user, source, "rejected_by_acl", why)
            return None
        seal = seal_of(self._method, peer.key.key, secrets.token_bytes(8), opener[:8])
        session = PacketSession(core, self._record(user, source), client, self, peer, seal)
        self._sessions[peer.mark] = session
        self._by_source[source] = session
        if self._method.edition == 2022:
            self.memory.keep(peer.mark, peer.window)
        self._enter(user, host)
        shared(core).visitors.remember(source_key(host)[0], user)
        core.connections.add(session)
        return session

    def _banned(self, name: str, host: str) -> str:
        bans = self._core.bans
        return "source_banned" if bans.source_banned(host) else "user_banned" if bans.user_banned(name, host) else ""

    def _crowded(self, name: str, host: str) -> bool:
        """Whether there are as many sessions as there may be."""
        full = len(self._sessions) >= _MOST_SESSIONS
        return full or self._there[host] >= _MOST_THERE or self._of[name] >= _MOST_OF_USER

    def _record(self, user: str, source: Source) -> Session:
        """A session as it is told."""
        core, now = self._core, time.time()
        name = self.entry.inbound.name
        session = Session(core.next_session_id(now), name, source[0], source[1], now, "shadowsocks", user)
        if core.trace_ratio:
            core.trace(session)
            for step in ("handshake", "authenticated", "ruled"):
                if session.phases is not None:
                    session.mark(step, now)
        return session

    def _refuse(self, user: str, source: Source, status: Status, reason: str) -> None:
        """Write down that a client may not have a session; it goes on asking, which is written down now and then."""
        now, refusals = self._core.poller.now, self._refusals
        what = (user, source[0], reason)
        if refusals.get(what, 0.0) > now:
            return
        refusals.pop(what, None)
        if len(refusals) >= _MOST_REFUSALS:
            del refusals[next(iter(refusals))]
        refusals[what] = now + _RECORD
        session = self._record(user, source)
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
