"""SOCKS UDP ASSOCIATE: one client's datagrams, relayed both ways.

    client ──► relay socket ──► vpn.proxy.datagrams
           ◄──              ◄──

The client's datagrams are taken from the address of its control connection only, and from one port: the one
that its request named, else that of the first datagram. The end of the control connection ends the association.
"""

from __future__ import annotations

import select
import socket
from functools import partial

from vpn.domain.address import pack
from vpn.domain.session import Session
from vpn.protocols import datagram
from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import Associate, Bound
from vpn.protocols.socks_address import IPV4
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.datagrams import BATCH, HEADROOM, Datagrams, Target, open_outward
from vpn.proxy.poller import HANGUP, READ
from vpn.proxy.stream import DONTWAIT, Stream


class Association(Datagrams):
    """One association, from the request to the end of the control connection.

    Raises:
        OSError: no socket could be had.
    """

    __slots__ = ("_client", "_control", "_port", "_relay", "_source")

    def __init__(
        self, core: Core, session: Session, client: Client, control: Stream, local: str, request: Associate
    ) -> None:
        super().__init__(core, session, client, socket.AF_INET6 if ":" in local else socket.AF_INET)
        self._control = control
        self._source = pack(session.source_host.partition("%")[0])
        self._port = request.port
        self._client: tuple[str, int] | tuple[str, int, int, int] | None = None
        self._relay = open_outward(self._family)
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

    def _held_back(self) -> bool:
        return super()._held_back() or self.client.account.up.holds_back(self._relay)

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
        for _ in range(BATCH):
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
            target = self._look_at(key)
        if target is None:
            return
        try:
            self._sent(target[0].sendto(data[10:], target[1]))
        except OSError:
            return  # no room, too large, or unreachable: datagrams may be lost

    def _is_client(self, source: tuple[str, int]) -> bool:
        """Whether these are the client's first datagrams; then its port is known from now on."""
        if self._client is not None or pack(source[0].partition("%")[0]) != self._source:
            return False
        if self._port and source[1] != self._port:
            return False
        self._client = source
        return True

    def _look_at(self, header: bytes) -> Target | None:
        """Where a datagram to an IPv4 address goes."""
        try:
            told = datagram.unpack(header)
        except ProtocolError:
            return None
        return self._judge(header, told.host, told.port, header[4:8])

    def _relay_other(self, data: memoryview) -> None:
        """A datagram to IPv6, to a name, or to nowhere."""
        try:
            told = datagram.unpack(data)
        except ProtocolError:
            return
        self._relay_to(told.host, told.port, bytes(data[told.payload :]))

    def _header(self, host: str, port: int) -> bytes:
        return datagram.header(host, port)

    def _deliver(self, header: bytes, count: int) -> bool:
        if self._client is None:
            return False
        view, start = self._core.view, HEADROOM - len(header)
        view[start:HEADROOM] = header
        self._relay.sendto(view[start : HEADROOM + count], self._client)
        return True

    def _close(self) -> None:
        self._release(self._relay)
        self._core.poller.close(self._control)
