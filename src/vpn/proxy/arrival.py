"""What may come before a client says what it wants: a load balancer's header, and TLS.

    accepted ──► Preface ──► Securing ──► Handshake

Either of the first two may be left out; each hands the connection over to the next, with the bytes that it
has read too many.
"""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from typing import Any

from vpn.domain.errors import Invalid
from vpn.domain.session import Session
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.entry import Entry
from vpn.proxy.handshake import Handshake
from vpn.proxy.phase import Phase
from vpn.proxy.poller import HANGUP
from vpn.proxy.preface import Preface
from vpn.proxy.sniffing import look
from vpn.proxy.tls import Certificates, TLSStream

COSTLY = 0.0003  # seconds of CPU; a handshake's first step that takes longer is computed in the background


class Securing(Phase):
    """A client, until TLS stands.

    The first step of the handshake signs. With an RSA key that takes a millisecond, which the tunnels need not
    wait for: it is computed in the background. With an elliptic key it takes less than handing it over would.
    """

    def __init__(
        self, core: Core, sock: Any, session: Session, client: Client, certificates: Certificates, early: bytes
    ) -> None:
        super().__init__(core, sock, session, client, core.poller.now + client.entry.timeouts.handshake)
        assert certificates.context is not None
        self._certificates = certificates
        self._stream = TLSStream(core.poller, sock, certificates.context, early)
        self._begun = False
        self._hello: bytes | None = early
        self._busy = False
        self._unread = True  # what is behind a header may be told already
        core.poller.soon(self._go_on)

    def _on_event(self, mask: int) -> None:
        self._unread = True
        if mask & HANGUP:
            self._close("client_gone")
        elif not self._busy:
            self._go_on()

    def _go_on(self) -> None:
        while self._unread and not self._busy and not self.session.ended:
            try:
                data = self._stream.receive()
                if not data:
                    self._close("client_closed")
                    return
                if self._hello is not None:
                    self._hello = look(self.session, self._hello, data)
            except BlockingIOError:
                self._unread = False
            except OSError:
                self._close("client_gone")
                return
            if self._begun:
                self._computed(self._stream.compute())
            elif self._certificates.cost <= COSTLY:
                self._begun = True
                self._computed(self._begin())
            else:
                self._begun = self._busy = True
                self._core.background.run(self._begin, self._came_back)

    def _begin(self) -> ssl.SSLError | None:
        """The first step, in any thread."""
        before = time.thread_time()
        error = self._stream.compute()
        self._certificates.cost = time.thread_time() - before
        return error

    def _came_back(self, error: BaseException | None) -> None:
        self._busy = False
        if not self.session.ended:
            self._computed(error)
            self._go_on()

    def _computed(self, error: BaseException | None) -> None:
        """One step of the handshake was made."""
        try:
            self._stream.flush()
        except OSError:
            self._close("client_gone")
            return
        if error is None:
            self._finish()
        elif not isinstance(error, ssl.SSLWantReadError):
            self._core.counters.tls_failed += 1
            self._core.log_rarely("TLS handshake failed", inbound=self.session.inbound, reason=_reason(error))
            self._close("tls_handshake_failed")

    def _finish(self) -> None:
        entry, session = self.client.entry, self.session
        self._core.counters.tls_accepted += 1
        if session.phases is not None:
            session.mark("secured", time.time())
        self._unread = False
        user = entry.admitted(session.source_host)
        tls = entry.inbound.tls
        if tls is not None and tls.certificate_names_user:
            name = self._stream.peer_name()
            if self._core.credentials.allowed(name):
                user = name
        self._core.connections.discard(self)
        Handshake(self._core, self._stream, session, self.client, user).take_over(b"")


def _reason(error: BaseException) -> str:
    return getattr(error, "reason", None) or str(error)


class Arrivals:
    """How the clients of an inbound arrive that has TLS, or load balancers before it."""

    def __init__(self, core: Core, entry: Entry) -> None:
        self._core = core
        self._certificates: Certificates | None = None
        if entry.inbound.tls is not None:
            self._certificates = Certificates(core.poller, entry.inbound.tls, self._complain)

    def close(self) -> None:
        """Watch the certificate no longer."""
        if self._certificates is not None:
            self._certificates.close()

    def welcome(self, sock: socket.SocketType, session: Session, client: Client) -> None:
        """Take a client that has been accepted.

        Raises:
            OSError: the kernel has no room for it.
        """
        if client.entry.trusts(session.source_host):
            then = partial(self._secure, sock, session, client, registered=True)
            Preface(self._core, sock, session, client, then).begin(registered=False)
        else:
            self._secure(sock, session, client, b"", registered=False)

    def _secure(
        self, sock: socket.SocketType, session: Session, client: Client, early: bytes, *, registered: bool
    ) -> None:
        if self._core.bans.source_banned(session.source_host):
            self._turn_away(sock, session, client, "source_banned")
            return
        if self._certificates is not None:
            if self._certificates.context is None:
                # The files were well when the daemon looked at them, and are not now.
                self._turn_away(sock, session, client, "no_certificate")
                return
            Securing(self._core, sock, session, client, self._certificates, early).begin(registered=registered)
            return
        handshake = Handshake(self._core, sock, session, client, client.entry.admitted(session.source_host))
        if registered:
            handshake.take_over(early)
        else:
            handshake.start()

    def _turn_away(self, sock: socket.SocketType, session: Session, client: Client, reason: str) -> None:
        session.end("failed", reason, time.time())
        self._core.poller.close(sock)
        client.leave()
        self._core.book(session)

    def _complain(self, error: Invalid) -> None:
        self._core.log("error", "a certificate cannot be used", reason=error.message, hint=error.hint)
