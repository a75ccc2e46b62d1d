"""A client's datagrams on their way outward, and the answers: what all that relay UDP have in common.

    client ◄─► whoever relays ──► one socket for each family ──► destinations
                              ◄──                            ◄── only those that were written to

Every datagram's destination is judged, after the name was resolved. Nothing that a datagram does ends the session.
How the client is reached, and what stands before its datagrams, is for those to say who inherit.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from vpn.domain.acl import Decision, Request, request_for
from vpn.domain.address import pack, unpack
from vpn.domain.session import Session, Status
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.shaping import Lane

BATCH = 64
"""Datagrams relayed from one socket before the others have their turn."""
HEADROOM = 64
"""Bytes before an answer's payload, for what stands before it."""
_MOST_PEERS = 4096  # destinations of one session
_MOST_WAITING = 64  # datagrams of one session whose names are being resolved

Address = tuple[str, int]
Target = tuple[socket.SocketType, Address]


class Datagrams:
    """One session of datagrams.

    Args:
        client: admitted, and the session's from now on.
        family: the one that the client came by.
    """

    __slots__ = (
        "_asked",
        "_core",
        "_family",
        "_headers",
        "_outward",
        "_requests",
        "_ruling",
        "_targets",
        "_waiting",
        "client",
        "deadline",
        "session",
    )

    def __init__(self, core: Core, session: Session, client: Client, family: int) -> None:
        self._core = core
        self.session = session
        self.client = client
        self._family = family
        self._outward: dict[int, socket.SocketType] = {}
        self._ruling = (core.outgoing.egress, core.ruling)
        self._targets: dict[bytes, Target | None] = {}  # by what stands before the client's datagrams
        self._headers: dict[Address, bytes] = {}  # of answers, by whom they may come from
        self._requests: dict[Address, Request] = {}  # by which these were written to
        self._waiting = 0
        self._asked = 0.0  # when the first datagram went out
        self.deadline = core.poller.now + client.entry.timeouts.udp

    def expire(self) -> None:
        """No datagrams for too long."""
        if self._held_back():
            self.deadline = self._core.poller.now + self.client.entry.timeouts.udp  # it is we who are slow
            return
        self._end("closed", "idle_timeout")

    def cut(self, reason: str) -> None:
        """It may not go on."""
        self._end("closed", reason)

    def _header(self, host: str, port: int) -> bytes:
        """What stands before the payload of answers from there."""
        raise NotImplementedError

    def _deliver(self, header: bytes, count: int) -> bool:
        """Send the client an answer, of which `count` bytes lie behind the headroom of the worker's buffer.

        Returns whether it went.

        Raises:
            OSError: it did not.
        """
        raise NotImplementedError

    def _most_peers(self) -> int:
        """Destinations that may be remembered; the oldest is forgotten first."""
        return _MOST_PEERS

    def _held_back(self) -> bool:
        """Whether something waits because of the user's rates."""
        return any(map(self.client.account.down.holds_back, self._outward.values()))

    def _see_ruling(self) -> None:
        """What was allowed may be so no more: judge each again when it comes up."""
        ruling = (self._core.outgoing.egress, self._core.ruling)
        if self._ruling != ruling:
            self._ruling = ruling
            self._judge_anew()

    def _judge_anew(self) -> None:
        self._targets.clear()
        self._headers.clear()

    def _header_again(self, address: Address) -> bytes | None:
        """The header of answers from one who was written to under other rules; None: a stranger, or forbidden now."""
        request = self._requests.pop(address, None)
        if request is not None and request.packed is not None:
            self._allowed(msgspec.structs.replace(request, now=time.time()), request.packed)
        return self._headers.get(address)

    def _allowance(self, lane: Lane, sock: socket.SocketType, go_on: Callable[[int], None]) -> int:
        """Bytes that may be relayed from this socket now; if none, it is not read until it is its turn."""
        core = self._core
        room = min(core.budget(self.client.account), lane.allowance())
        if not room and not self.session.ended:
            core.poller.modify(sock.fileno(), 0)
            lane.wait(sock, partial(self._take_turn, sock, go_on))
        return room

    def _take_turn(self, sock: socket.SocketType, go_on: Callable[[int], None]) -> None:
        self._core.poller.modify(sock.fileno(), select.EPOLLIN)
        go_on(select.EPOLLIN)

    def _judge(self, key: bytes, host: str, port: int, packed: bytes) -> Target | None:
        """Where a datagram to an address goes; remembered for those that follow."""
        try:
            target = self._allowed(request_for(host, port, udp=True, **self._asks()), packed)
        except OSError:
            return None  # not for ever: the next datagram may find a descriptor
        if len(self._targets) >= self._most_peers():
            del self._targets[next(iter(self._targets))]
        self._targets[key] = target
        return target

    def _asks(self) -> dict[str, Any]:
        """Who asks, and when."""
        return {"source": self.client.address, "now": time.time()}

    def _allowed(self, request: Request, packed: bytes) -> Target | None:
        """The socket and address for this destination, which may have been named, unless it is forbidden.

        Raises:
            OSError: there is no socket to be had.
        """
        host, port = unpack(packed), request.port
        request = msgspec.structs.replace(request, packed=packed)
        why = self._core.guard.forbids(packed) or _reason(self._core.pool(self.session.user).decide(request))
        if self._refused(host, port, why):
            return None
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        sock = self._outward.get(family) or self._open(family)
        address = (host, port)
        if address not in self._headers:
            most = self._most_peers()
            if len(self._headers) >= most:
                del self._headers[next(iter(self._headers))]
            if address not in self._requests and len(self._requests) >= most:
                del self._requests[next(iter(self._requests))]
            self._headers[address] = self._header(*address)
            self._requests[address] = request
        return sock, address

    def _refused(self, host: str, port: int, why: str = "") -> bool:
        """Whether nothing may go there, for this reason or because an upstream leads there; that is logged."""
        core, user = self._core, self.session.user
        why = why or core.outgoing.direct_refused(host, port, user)
        if why:
            core.log_rarely("datagram refused", user=user, destination=host, reason=why)
        return bool(why)

    def _open(self, family: int) -> socket.SocketType:
        sock = open_outward(family)
        try:
            self._core.poller.register(sock.fileno(), partial(self._on_answer, sock), select.EPOLLIN)
        except OSError:
            self._core.poller.close(sock)
            raise
        self._outward[family] = sock
        return sock

    def _relay_to(self, host: str, port: int, payload: bytes) -> None:
        """A datagram to an address or a name."""
        packed = pack(host)
        request = request_for(host, port, udp=True, **self._asks())
        if packed is not None:
            self._send(payload, [packed], request)
            return
        foreseen = _reason(self._core.pool(self.session.user).foresee(request))
        if self._waiting >= _MOST_WAITING or self._refused(host, port, foreseen):
            return
        if self._core.waiting.take(self.session.user, len(payload)):
            self._waiting += 1
            self._core.resolver.resolve(host, partial(self._resolved, payload, request))

    def _resolved(self, payload: bytes, request: Request, addresses: list[bytes]) -> None:
        self._waiting -= 1
        self._core.waiting.give(self.session.user, len(payload))
        if not self.session.ended and self._core.budget(self.client.account):  # the quota may have ended meanwhile
            # There is no telling whether a family works; the one that the client came by is the best guess.
            ours = 16 if self._family == socket.AF_INET6 else 4
            self._send(payload, sorted(addresses, key=lambda address: len(address) != ours), request)

    def _send(self, payload: bytes, addresses: list[bytes], request: Request) -> None:
        """To the first of these addresses that may be reached, and can be."""
        for packed in addresses:
            try:
                target = self._allowed(request, packed)
                if target is None:
                    continue
                self._sent(target[0].sendto(payload, target[1]))
                return
            except OSError:
                continue

    def _on_answer(self, sock: socket.SocketType, _mask: int) -> None:
        core, session = self._core, self.session
        room = core.view[HEADROOM:]
        lane = self.client.account.down
        go_on = partial(self._on_answer, sock)
        self._see_ruling()
        left = 0
        for _ in range(BATCH):
            if left <= 0 and not (left := self._allowance(lane, sock, go_on)):
                return
            try:
                count, source = sock.recvfrom_into(room)
            except BlockingIOError:
                return
            except OSError:
                continue
            left -= count
            header = self._headers.get(source[:2]) or self._header_again(source[:2])
            if header is None:
                continue  # nobody whom the client wrote to
            self.deadline = core.poller.now + self.client.entry.timeouts.udp
            try:
                if not self._deliver(header, count):
                    continue
            except OSError:
                continue
            if not session.packets_received:
                self._note_answer()
            session.bytes_received += count
            session.packets_received += 1
            lane.count(count)

    def _note_answer(self) -> None:
        """The first one has come."""
        self.session.first_byte_time = time.monotonic() - self._asked
        if self.session.phases is not None:
            self.session.mark("first_byte", time.time())

    def _sent(self, count: int) -> None:
        if not self._asked:
            self._asked = time.monotonic()
        self.session.bytes_sent += count
        self.session.packets_sent += 1
        self.client.account.up.count(count)

    def _end(self, status: Status, reason: str) -> None:
        session = self.session
        if session.ended:
            return
        session.end(status, reason, time.time())
        for sock in self._outward.values():
            self._release(sock)
        self._close()
        self._core.end(self)

    def _release(self, sock: socket.SocketType) -> None:
        """Close a socket that may be waiting for its turn."""
        account = self.client.account
        account.up.cancel(sock)
        account.down.cancel(sock)
        self._core.poller.close(sock)

    def _close(self) -> None:
        """The session has ended: let go of the client."""
        raise NotImplementedError


def _reason(decision: Decision | None) -> str:
    return "" if decision is None or decision.allowed else decision.reason


def open_outward(family: int) -> socket.SocketType:
    """A socket for datagrams.

    Raises:
        OSError: there is none.
    """
    sock = socket.SocketType(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock
