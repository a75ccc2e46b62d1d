"""A client that says what it wants: its bytes, read and fed to a parser (vpn.protocols)."""

from __future__ import annotations

from vpn.domain.session import Session, Status
from vpn.protocols.events import Answer, Parser
from vpn.protocols.reader import Reader
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.poller import EDGE, ENDING, READ
from vpn.proxy.stream import DONTWAIT, Stream, layered

CHUNK = 4096  # bytes read at a time while the handshake lasts
_BURST = 4  # such reads before the others have their turn


class Intake:
    """Reads while the parser wants more. Its stream is registered with the poller by `start`.

    Args:
        first: whether this is the client's first request on this connection.
    """

    __slots__ = (
        "_core",
        "_first",
        "_layered",
        "_parser",
        "_reader",
        "_stream",
        "_unread",
        "_waiting",
        "client",
        "deadline",
        "session",
    )

    def __init__(self, core: Core, stream: Stream, session: Session, client: Client, *, first: bool) -> None:
        self._core = core
        self._stream = stream
        self.session = session
        self.client = client
        self._first = first
        self._reader = Reader()
        self._parser: Parser | None = None
        self._waiting = False  # for a verdict or a connection; the client is not read meanwhile
        self._layered = layered(stream)  # which does not tell of what it holds
        self._unread = False  # the kernel may hold bytes that it will not tell of again
        self.deadline = core.poller.now + client.entry.timeouts.handshake

    def start(self) -> None:
        """Listen to a client that has been accepted.

        Raises:
            OSError: the kernel has no room for it.
        """
        self._core.poller.register(self._stream.fileno(), self._on_event, READ | EDGE)
        self._core.connections.add(self)
        self._read(0)

    def take_over(self, early: bytes, *, unread: bool = True) -> None:
        """Listen to a client that is registered already, and has sent these bytes.

        Args:
            unread: there may be more behind them, of which no event will tell.
        """
        self._core.poller.hand_over(self._stream.fileno(), self._on_event)
        self._core.connections.add(self)
        if early:
            self._unread = unread  # should the client have to wait at once
            self._feed(early)
        elif not self._first:
            self.deadline = self._core.poller.now + self.client.entry.timeouts.request
        if not self.session.ended and not self._waiting:
            self._core.poller.soon(self._read_on)

    def expire(self) -> None:
        """It took too long."""
        raise NotImplementedError

    def cut(self, reason: str) -> None:
        """The client may not go on."""
        raise NotImplementedError

    def _on_event(self, mask: int) -> None:
        if self._waiting:
            self._unread = True
            self._told_meanwhile(mask)
        else:
            self._read(mask)

    def _read(self, mask: int) -> None:
        for _ in range(_BURST):
            if self._waiting:
                return
            try:
                data = self._stream.recv(CHUNK, DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self._close("failed", "client_gone")
                return
            if not data:
                self._close("failed", "client_closed")
                return
            # A full read, or an end of stream behind it, is not told again.
            self._unread = len(data) == CHUNK or bool(mask & ENDING) or self._layered is not None
            self._feed(data)
            if not self._unread or self.session.ended or self not in self._core.connections:
                return
        if not self._waiting:
            self._core.poller.soon(self._read_on)

    def _feed(self, data: bytes) -> None:
        if not self._first and self._parser is None:
            data = data.lstrip(b"\r\n")  # RFC 9112 §2.2: an empty line behind a body
            if not data:
                return
        self._reader.feed(data)
        if self._parser is None and not self._begin():
            return
        self._advance(None)

    def _read_on(self) -> None:
        """Go on where a burst had to stop for the others' sake."""
        if not self._waiting and not self.session.ended and self in self._core.connections:
            self._read(ENDING)

    def _begin(self) -> bool:
        """Choose the parser by the bytes that are there; False if the client is refused."""
        raise NotImplementedError

    def _advance(self, answer: Answer) -> None:
        """Let the parser go on."""
        raise NotImplementedError

    def _told_meanwhile(self, mask: int) -> None:
        """Something happened to a client that waits."""
        raise NotImplementedError

    def _close(self, status: Status, reason: str) -> None:
        """The client is gone."""
        raise NotImplementedError
