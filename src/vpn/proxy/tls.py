"""TLS around a connection: contexts, the handshake, and the stream that comes of it.

OpenSSL reads from and writes to memory, and we move the bytes: only so can half a connection be closed
(`close_notify`, while the other direction goes on) without losing what is on its way.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vpn.domain.egress import Upstream
from vpn.domain.errors import Invalid
from vpn.domain.inbound import TLS
from vpn.proxy.poller import Poller
from vpn.proxy.stream import DONTWAIT

WATCH = 2.0  # seconds between two looks at an inbound's files
CHUNK = 64 * 1024  # bytes moved between the socket and OpenSSL at a time; above 128 KiB malloc would map pages anew
LAST_WAIT = 0.1  # seconds between two tries to say that we are done
LAST_TRIES = 20  # after which a closed connection to somebody who does not read is given up
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_ASKING = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def server_context(tls: TLS) -> ssl.SSLContext:
    """The context for an inbound's clients.

    Raises:
        Invalid: a file cannot be read, or does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.minimum_version]
    # Many clients close without a word in TLS. It is taken for the end, so that they get their answer; who must
    # not take a truncated upload for a whole one looks into it, as without TLS.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_IGNORE_UNEXPECTED_EOF
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise _bad_files(tls, error) from None
    context.verify_mode = _ASKING[tls.client_certificates]
    if tls.alpn:
        context.set_alpn_protocols(list(tls.alpn))
    return context


def _bad_files(tls: TLS, error: OSError | ValueError) -> Invalid:
    files = ", ".join(filter(None, (tls.certificate, tls.key, tls.client_ca)))
    what = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    return Invalid(
        "bad_certificate",
        f"TLS cannot be set up from {files}: {what or getattr(error, 'reason', None) or error}",
        "name PEM files that may be read, of a certificate and the key that belongs to it, without a passphrase",
    )


def client_context(upstream: Upstream) -> ssl.SSLContext:
    """The context for connections to an upstream.

    Raises:
        Invalid: the file of certificates cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=upstream.ca or None)
    except (OSError, ValueError) as error:
        raise Invalid(
            "bad_certificate", f"upstream {upstream.name}: {upstream.ca}: {error}", "name a PEM file that may be read"
        ) from None


class TLSStream:
    """A stream (vpn.proxy.stream) in TLS.

    Args:
        sock: the connected socket.
        early: bytes that were read from it already.
        server_name: what the server is called, if we are the client.
    """

    __slots__ = (
        "_backlog",
        "_closed",
        "_drained",
        "_ended",
        "_incoming",
        "_outgoing",
        "_poller",
        "_read",
        "_shut",
        "_sock",
        "_taken",
        "_tls",
        "_tries",
    )

    def __init__(
        self, poller: Poller, sock: Any, context: ssl.SSLContext, early: bytes = b"", server_name: str = ""
    ) -> None:
        self._poller = poller
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=not server_name, server_hostname=server_name or None
        )
        self._incoming.write(early)
        self._backlog = b""  # encrypted, and not taken by the socket yet
        self._taken = 0  # bytes of the caller's data that are in the backlog
        self._read = b""  # decrypted, and not asked for yet
        self._drained = False  # the socket had no more when it was read last, and will tell when it has
        self._ended = False  # nothing more will be decrypted
        self._shut = False  # we have said, or can no longer say, that we are done
        self._closed = False
        self._tries = LAST_TRIES

    # --- the handshake

    def receive(self) -> bytes:
        """Take what the socket has for the handshake, and show it; nothing at the end of the stream.

        Raises:
            BlockingIOError: it has nothing.
            OSError: it is broken.
        """
        data: bytes = self._sock.recv(CHUNK, DONTWAIT)
        self._incoming.write(data)
        return data

    def compute(self) -> ssl.SSLError | None:
        """Go on with the handshake as far as possible; None when it is done. May run in any thread."""
        try:
            self._tls.do_handshake()
        except ssl.SSLError as error:
            return error
        return None

    def flush(self) -> None:
        """Send what the handshake has to say, alerts too.

        Raises:
            BlockingIOError: the socket does not take it all.
            OSError: it is broken.
        """
        self._backlog += self._outgoing.read()
        while self._backlog:
            self._backlog = self._backlog[self._sock.send(self._backlog, DONTWAIT) :]

    def peer_name(self) -> str:
        """The common name of the other side's certificate, which was verified; empty: it has none."""
        certificate = self._tls.getpeercert() or {}
        for part in certificate.get("subject", ()):
            for key, value in part:  # type: ignore[str-unpack] # typeshed is vague here
                if key == "commonName":
                    return str(value)
        return ""

    # --- the stream

    def fileno(self) -> int:
        """The descriptor to watch."""
        return int(self._sock.fileno())

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read; empty at the end of the stream."""
        buffer = bytearray(bufsize)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: bytearray, nbytes: int = 0, flags: int = 0, /) -> int:
        """Read into a buffer, as much as there is; no more than `nbytes`, unless they are 0."""
        view = memoryview(buffer)[: nbytes or None]
        count = min(len(self._read), len(view))
        if count:
            view[:count] = self._read[:count]
            self._read = self._read[count:]
        while count < len(view) and not self._ended:
            if not self._incoming.pending and not self._tls.pending():
                if count and self._drained:
                    break
                self._fill(count)
            try:
                got: int = self._tls.read(len(view) - count, view[count:])  # type: ignore[assignment]
            except ssl.SSLWantReadError:
                if count and self._drained:
                    break
                continue
            except ssl.SSLZeroReturnError:
                got = 0
            except ssl.SSLError as error:  # also the end of an upstream that did not say so: it may be cut short
                raise ConnectionResetError(str(error)) from None
            self._ended = not got
            count += got
        return count

    @property
    def unread(self) -> bool:
        """Whether there is more to read of which no event will tell."""
        return self._ended or not self._drained or bool(self._read or self._incoming.pending or self._tls.pending())

    def _fill(self, count: int) -> None:
        """Give OpenSSL more to decrypt.

        Raises:
            BlockingIOError: there is no more, nor are there `count` bytes to return.
        """
        try:
            data = self._sock.recv(CHUNK, DONTWAIT)
        except BlockingIOError:
            self._drained = True
            if count:
                return
            raise
        self._drained = 0 < len(data) < CHUNK
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """Encrypt and send; how much was taken. The rest has to be given again from where it left off."""
        if self._backlog:
            self.flush()
        total, self._taken = self._taken, 0
        while total < len(data):
            try:
                written = self._tls.write(data[total : total + CHUNK])
            except ssl.SSLError as error:
                raise ConnectionResetError(str(error)) from None
            try:
                self.flush()
            except BlockingIOError:
                self._taken = written
                if not total:
                    raise
                return total
            total += written
        return total

    def shutdown(self, how: int, /) -> None:
        """Say that we are done; the other side may go on."""
        if self._shut:
            return
        self._shut = True
        self._read += self._readable()
        # It wants to hear the same from the other side, which may take its time.
        with contextlib.suppress(ssl.SSLError, ValueError):
            self._tls.unwrap()
        self._finish()

    def _readable(self) -> bytes:
        """All that can be decrypted now: OpenSSL would throw it away when it looks for the other side's end."""
        pieces = []
        try:
            while not self._ended and (piece := self._tls.read(CHUNK)):
                pieces.append(piece)
        except ssl.SSLError:
            pass  # the next read meets it again
        return b"".join(pieces)

    def _finish(self) -> None:
        try:
            self.flush()
            self._sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            if self._tries:
                self._tries -= self._closed
                self._poller.call_later(LAST_WAIT, self._finish)
                return
        except OSError:
            self._backlog = b""  # the other side is gone
        if self._closed:
            self._sock.close()

    def setsockopt(self, level: int, optname: int, value: Any, /) -> None:
        """Set an option of the socket."""
        if optname == socket.SO_LINGER:
            self._shut = True  # it is to be reset, which must not look like an end
            self._backlog = b""
        self._sock.setsockopt(level, optname, value)

    def getsockname(self) -> Any:
        """The local address."""
        return self._sock.getsockname()

    def close(self) -> None:
        """Close, and say so if we can; where there is no room for it yet, a little later."""
        if self._closed:
            return
        if not self._shut:
            self.shutdown(socket.SHUT_WR)
        self._closed = True
        if not self._backlog:
            self._sock.close()


class Certificates:
    """An inbound's context, made anew when its files change.

    Args:
        report: called with an error of files that have changed and cannot be used; the old ones stay in force.
    """

    def __init__(self, poller: Poller, tls: TLS, report: Callable[[Invalid], None]) -> None:
        self._poller = poller
        self._tls = tls
        self._report = report
        self._state: object = None
        self._refused: object = None
        self.context: ssl.SSLContext | None = None
        """None: there has been no certificate that can be used."""
        self.cost = 0.0
        """Seconds of CPU that the first step of a handshake took last; it depends on the key."""
        self._load(self._look())
        self._timer = poller.call_later(WATCH, self._watch)

    def close(self) -> None:
        """Watch no longer."""
        self._timer.cancel()

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_state_of(path) for path in (self._tls.certificate, self._tls.key, self._tls.client_ca) if path]

    def _watch(self) -> None:
        self._timer = self._poller.call_later(WATCH, self._watch)
        state = self._look()
        if state not in (self._state, self._refused):
            self._load(state)

    def _load(self, state: object) -> None:
        try:
            self.context = server_context(self._tls)
        except Invalid as error:
            self._refused = state  # certificate and key are seldom replaced in the same moment
            self._report(error)
        else:
            self._state = state
            self._refused = None


def _state_of(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
