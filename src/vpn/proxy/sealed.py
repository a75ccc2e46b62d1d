"""The stream of a client of Shadowsocks: a raw socket whose bytes are opened and sealed on their way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from vpn.protocols.errors import ProtocolError
from vpn.protocols.shadowsocks_chunks import Opener, Sealer
from vpn.proxy.core import BUFFER
from vpn.proxy.stream import DONTWAIT

LEAST = 4096  # bytes read at a time, though less may be handed on


class SealedStream:
    """A stream (vpn.proxy.stream) in Shadowsocks.

    What is read is opened straight into the caller's buffer, as far as whole chunks of it have come and fit.

    Args:
        sock: the connected socket.
        opener: of the client's stream, as far as it was read.
        sealer: of ours.
        scratch: memory that nobody else uses while a method runs.
        held: bytes that were read behind what the opener has had.
        drained: the socket had no more when it was read last, and will tell when it has.
    """

    __slots__ = (
        "_backlog",
        "_drained",
        "_held",
        "_opener",
        "_read",
        "_scratch",
        "_sealer",
        "_sent",
        "_sock",
        "fileno",
    )

    def __init__(
        self, sock: Any, opener: Opener, sealer: Sealer, scratch: memoryview, held: bytes, *, drained: bool
    ) -> None:
        self._sock = sock
        self.fileno: Callable[[], int] = sock.fileno
        """The descriptor to watch."""
        self._opener = opener
        self._sealer = sealer
        self._scratch = scratch
        self._held = held
        self._drained = drained
        self._read = b""  # opened, and not asked for yet
        self._backlog = b""  # sealed, and not taken by the socket yet
        self._sent = 0  # of the backlog

    @property
    def unread(self) -> bool:
        """Whether there is more to read of which no event will tell."""
        return not self._drained or bool(self._read) or self._opener.whole(len(self._held))

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read; empty at the end of the stream."""
        buffer = bytearray(bufsize)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: bytearray, nbytes: int = 0, flags: int = 0, /) -> int:
        """Read into a buffer, as much as there is; no more than `nbytes`, unless they are 0.

        Raises:
            BlockingIOError: there is nothing.
            ConnectionResetError: what came was changed on its way, or cut off.
        """
        view = memoryview(buffer)
        if nbytes:
            view = view[:nbytes]
        if self._read:
            return self._hand_out(view)
        scratch, opener = self._scratch, self._opener
        size = len(self._held)
        scratch[:size] = self._held
        try:
            while True:
                if not opener.whole(size):
                    got = self._fill(size, max(len(view), LEAST))
                    if not got:
                        return self._end(size)
                    size += got
                taken, put = opener.open_into(scratch[:size], view)
                if put:
                    self._held = bytes(scratch[taken:size])
                    return put
                size -= taken
                self._held = bytes(scratch[taken : taken + size])
                scratch[:size] = self._held
                if opener.length >= 0 and opener.whole(size):
                    return self._spill(size, view)
        except ProtocolError as error:
            raise ConnectionResetError(str(error)) from None

    def _fill(self, size: int, most: int) -> int:
        """Read more behind what is there.

        Raises:
            BlockingIOError: there is no more.
        """
        try:
            got: int = self._sock.recv_into(self._scratch[size : size + most], 0, DONTWAIT)
        except BlockingIOError:
            self._drained = True
            raise
        self._drained = 0 < got < most
        return got

    def _end(self, size: int) -> int:
        if size or self._opener.length >= 0:
            raise ConnectionResetError("the stream ends in the middle of a chunk")
        return 0

    def _spill(self, size: int, view: memoryview) -> int:
        """The next chunk is larger than what is asked for."""
        opened = bytearray(self._opener.length)
        taken, _ = self._opener.open_into(self._scratch[:size], memoryview(opened))
        self._held = bytes(self._scratch[taken:size])
        self._read = bytes(opened)
        return self._hand_out(view)

    def _hand_out(self, view: memoryview) -> int:
        count = min(len(self._read), len(view))
        view[:count] = self._read[:count]
        self._read = self._read[count:]
        return count

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """Seal and send; how much was taken.

        What is sealed is taken, though the socket may not take it all: its last byte counts as taken only when all of
        that is sent, and has to be given again until then.

        Raises:
            BlockingIOError: nothing was taken.
        """
        if self._backlog:
            self._flush()
            return 1
        view = memoryview(data)[:BUFFER]
        sealed = self._scratch[: self._sealer.seal_into(view, self._scratch, time.time())]
        try:
            sent = self._sock.send(sealed, DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent == len(sealed):
            return len(view)
        self._backlog = bytes(sealed[sent:])
        self._sent = 0
        if len(view) == 1:
            raise BlockingIOError
        return len(view) - 1

    def _flush(self) -> None:
        """Send what waits.

        Raises:
            BlockingIOError: it is not all gone.
        """
        waiting = memoryview(self._backlog)[self._sent :]
        sent = self._sock.send(waiting, DONTWAIT)
        if sent < len(waiting):
            self._sent += sent
            raise BlockingIOError
        self._backlog = b""

    def shutdown(self, how: int, /) -> None:
        """End our direction; the other side may go on."""
        self._sock.shutdown(how)

    def setsockopt(self, level: int, optname: int, value: Any, /) -> None:
        """Set an option of the socket."""
        self._sock.setsockopt(level, optname, value)

    def getsockname(self) -> Any:
        """The local address."""
        return self._sock.getsockname()

    def close(self) -> None:
        """Close."""
        self._sock.close()
