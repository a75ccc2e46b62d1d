"""SOCKS UDP ASSOCIATE: one client's datagrams, relayed both ways.

    client ──► relay socket ──► one socket for each family ──► destinations
           ◄──              ◄──                            ◄── only those that were written to

The client's datagrams are taken from the address of its control connection only, and from one port: the one
that its request named, else that of the first datagram. Every datagram's destination is judged, after the
name was resolved. Nothing that a datagram does ends the association; the end of the control connection does.
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
from vpn.protocols import datagram
from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import Associate, Bound
from vpn.protocols.socks_address import IPV4
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.poller import HANGUP, READ
from vpn.proxy.shaping import Lane
from vpn.proxy.stream import DONTWAIT, Stream

_BATCH = 64  # datagrams relayed for one association before the others have their turn
_MOST_PEERS = 4096  # destinations of one association; the oldest is forgotten first
_MOST_WAITING = 64  # datagrams of one association whose names are being resolved
_HEADROOM = 32  # bytes before an answer's payload, for its header

Address = tuple[str, int]


class Association:
    """One association, from the request to the end of the control connection.

    Raises:
        OSError: no socket could be had.
    """

    __slots__ = (
        "_asked",
        "_client",
        "_control",
        "_core",
        "_headers",
        "_outward",
        "_port",
        "_relay",
        "_requests",
        "_ruling",
        "_source",
        "_targets",
        "_waiting",
        "client",
        "deadline",
        "session",
    )

    def __init__(
        self, core: Core, session: Session, client: Client, control: Stream, local: str, request: Associate
    ) -> None:
        self._core = core
        self.session = session
        self.client = client
        self._control = control
        self._source = pack(session.source_host.partition("%")[0])
        self._port = request.port
        self._client: tuple[str, int] | tuple[str, int, int, int] | None = None
        self._outward: dict[int, socket.SocketType] = {}
        self._ruling = (core.outgoing.egress, core.ruling)
        self._targets: dict[bytes, tuple[socket.SocketType, Address] | None] = {}
        self._headers: dict[Address, bytes] = {}  # of answers, by whom they may come from
        self._requests: dict[Address, Request] = {}  # by which these were written to
        self._waiting = 0
        self._asked = 0.0  # when the first datagram went out
        self.deadline = core.poller.now + client.entry.timeouts.udp
        self._relay = _socket(socket.AF_INET6 if ":" in local else socket.AF_INET)
        try:
            self._relay.bind((local, 0))
        except OSError:
            self._relay.close()
            raise

    def address(self) -> Bound:
        """Where the client's datagrams are expected."""
        local = self._relay.getsockname()
        return Bound(self.client.entry.inbound.udp_address or local[0], local[1])

    def start(self) -> None:
        """Relay. The control connection is registered with the poller, and ours from now on."""
        core = self._core
        core.connections.add(self)
        core.poller.hand_over(self._control.fileno(), self._on_control)
        core.poller.register(self._relay.fileno(), self._on_client, select.EPOLLIN)
        core.poller.soon(partial(self._on_control, READ))  # its end may have come already

    def cancel(self) -> None:
        """It does not begin."""
        self._core.poller.close(self._relay)

    def expire(self) -> None:
        """No datagrams for too long."""
        account = self.client.account
        if account.up.holds_back(self._relay) or any(map(account.down.holds_back, self._outward.values())):
            self.deadline = self._core.poller.now + self.client.entry.timeouts.udp  # it is we who are slow
            return
        self._end("closed", "idle_timeout")

    def cut(self, reason: str) -> None:
        """It may not go on."""
        self._end("closed", reason)

    def _on_control(self, mask: int) -> None:
        """The client has nothing to say here any more, but for the end."""
        if self.session.ended:
            return
        try:
            data = self._control.recv(4096, DONTWAIT)
        except BlockingIOError:
            if mask & HANGUP:
                self._end("closed", "client_gone")
            return
        except OSError:
            data = b""
        if data:
            self._core.poller.soon(partial(self._on_control, READ))
        else:
            self._end("closed", "eof")

    def _on_client(self, mask: int) -> None:
        core = self._core
        buffer, view = core.buffer, core.view
        self._see_ruling()
        left = 0
        for _ in range(_BATCH):
            if left <= 0 and not (left := self._allowance(self.client.account.up, self._relay, self._on_client)):
                return
            try:
                count, source = self._relay.recvfrom_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP message about an answer of ours
            left -= count
            if source == self._client or self._is_client(source):
                self._relay_out(view[:count])

    def _relay_out(self, data: memoryview) -> None:
        """One datagram of the client's."""
        self.deadline = self._core.poller.now + self.client.entry.timeouts.udp
        if len(data) < 10 or data[3] != IPV4:
            self._relay_other(data)
            return
        key = bytes(data[:10])
        try:
            target = self._targets[key]
        except KeyError:
            target = self._judge(key)
        if target is None:
            return
        try:
            self._sent(target[0].sendto(data[10:], target[1]))
        except OSError:
            return  # no room, too large, or unreachable: datagrams may be lost

    def _see_ruling(self) -> None:
        """What was allowed may be so no more: judge each again when it comes up."""
        ruling = (self._core.outgoing.egress, self._core.ruling)
        if self._ruling != ruling:
            self._ruling = ruling
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

    def _is_client(self, source: tuple[str, int]) -> bool:
        """Whether these are the client's first datagrams; then its port is known from now on."""
        if self._client is not None or pack(source[0].partition("%")[0]) != self._source:
            return False
        if self._port and source[1] != self._port:
            return False
        self._client = source
        return True

    def _judge(self, header: bytes) -> tuple[socket.SocketType, Address] | None:
        """Where a datagram to an IPv4 address goes; remembered for those that follow."""
        try:
            told = datagram.unpack(header)
        except ProtocolError:
            return None
        target = self._allowed(request_for(told.host, told.port, udp=True, **self._asks()), header[4:8])
        if len(self._targets) >= _MOST_PEERS:
            del self._targets[next(iter(self._targets))]
        self._targets[header] = target
        return target

    def _asks(self) -> dict[str, Any]:
        """Who asks, and when."""
        return {"source": self.client.address, "now": time.time()}

    def _allowed(self, request: Request, packed: bytes) -> tuple[socket.SocketType, Address] | None:
        """The socket and address for this destination, which may have been named, unless it is forbidden."""
        host, port = unpack(packed), request.port
        request = msgspec.structs.replace(request, packed=packed)
        why = self._core.guard.forbids(packed) or _reason(self._core.pool(self.session.user).decide(request))
        if self._refused(host, port, why):
            return None
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        try:
            sock = self._outward.get(family) or self._open(family)
        except OSError:
            return None
        address = (host, port)
        if address not in self._headers:
            if len(self._headers) >= _MOST_PEERS:
                del self._headers[next(iter(self._headers))]
            if address not in self._requests and len(self._requests) >= _MOST_PEERS:
                del self._requests[next(iter(self._requests))]
            self._headers[address] = datagram.header(*address)
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
        sock = _socket(family)
        self._outward[family] = sock
        self._core.poller.register(sock.fileno(), partial(self._on_answer, sock), select.EPOLLIN)
        return sock

    def _relay_other(self, data: memoryview) -> None:
        """A datagram to IPv6, to a name, or to nowhere."""
        try:
            told = datagram.unpack(data)
        except ProtocolError:
            return
        payload = bytes(data[told.payload :])
        packed = pack(told.host)
        request = request_for(told.host, told.port, udp=True, **self._asks())
        if packed is not None:
            self._send(payload, [packed], request)
            return
        foreseen = _reason(self._core.pool(self.session.user).foresee(request))
        if self._waiting < _MOST_WAITING and not self._refused(told.host, told.port, foreseen):
            self._waiting += 1
            self._core.resolver.resolve(told.host, partial(self._resolved, payload, request))

    def _resolved(self, payload: bytes, request: Request, addresses: list[bytes]) -> None:
        self._waiting -= 1
        if not self.session.ended and self._core.budget(self.client.account):  # the quota may have ended meanwhile
            # There is no telling whether a family works; the one that the client came by is the best guess.
            ours = 16 if self._relay.family == socket.AF_INET6 else 4
            self._send(payload, sorted(addresses, key=lambda address: len(address) != ours), request)

    def _send(self, payload: bytes, addresses: list[bytes], request: Request) -> None:
        """To the first of these addresses that may be reached, and can be."""
        for packed in addresses:
            target = self._allowed(request, packed)
            if target is None:
                continue
            try:
                self._sent(target[0].sendto(payload, target[1]))
                return
            except OSError:
                continue

    def _on_answer(self, sock: socket.SocketType, _mask: int) -> None:
        core, session, client = self._core, self.session, self._client
        view = core.view
        room = view[_HEADROOM:]
        lane = self.client.account.down
        go_on = partial(self._on_answer, sock)
        self._see_ruling()
        left = 0
        for _ in range(_BATCH):
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
            if header is None or client is None:
                continue  # nobody whom the client wrote to
            self.deadline = core.poller.now + self.client.entry.timeouts.udp
            start = _HEADROOM - len(header)
            view[start:_HEADROOM] = header
            try:
                self._relay.sendto(view[start : _HEADROOM + count], client)
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
        account = self.client.account
        for sock in (self._relay, *self._outward.values()):
            account.up.cancel(sock)
            account.down.cancel(sock)
            self._core.poller.close(sock)
        self._core.poller.close(self._control)
        self._core.end(self)


def _reason(decision: Decision | None) -> str:
    return "" if decision is None or decision.allowed else decision.reason


def _socket(family: int) -> socket.SocketType:
    sock = socket.SocketType(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock
