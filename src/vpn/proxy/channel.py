"""Messages over a socketpair: length-prefixed msgpack, with descriptors alongside.

A channel belongs to whichever loop its end lives in. That loop calls `on_readable` and `on_writable`,
and offers `want_write`, by which the channel asks to be told when the socket takes bytes again.
"""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from vpn.proxy.control import Message

Incoming = TypeVar("Incoming", bound=Message)

_HEADER = 4  # bytes of length, big-endian
_CHUNK = 256 * 1024
_MOST_DESCRIPTORS = 253  # SCM_MAX_FD of Linux
_encoder = msgspec.msgpack.Encoder()


class _Frame:
    """One message on its way, as far as it has not been sent."""

    __slots__ = ("data", "descriptors")

    def __init__(self, data: memoryview, descriptors: list[int]) -> None:
        self.data = data
        self.descriptors = descriptors

    def close_descriptors(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


class Channel(Generic[Incoming]):
    """One end of a channel.

    Args:
        sock: a connected, non-blocking Unix stream socket; the channel owns it.
        incoming: the union of message types to expect.
        receive: called with each message.
        closed: called once when the other end is gone.
        want_write: called with True when bytes wait for the socket, with False when none do any more.
    """

    def __init__(
        self,
        sock: socket.socket,
        incoming: object,
        *,
        receive: Callable[[Incoming], None],
        closed: Callable[[], None],
        want_write: Callable[[bool], None],
    ) -> None:
        self._sock = sock
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(incoming)
        self._receive = receive
        self._closed = closed
        self._want_write = want_write
        self._input = bytearray()
        self._output: deque[_Frame] = deque()
        self._descriptors: list[int] = []
        self._open = True

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._sock.fileno()

    @property
    def backlog(self) -> int:
        """Messages that wait for the other end to read."""
        return len(self._output)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message, now or as soon as the socket takes it; without effect once the other end is gone.

        The descriptors are the caller's to close, at any time.

        Raises:
            OSError: the descriptors are none, or there are too many open.
        """
        if not self._open:
            return
        body = _encoder.encode(message)
        copies = [os.dup(descriptor) for descriptor in descriptors]
        self._output.append(_Frame(memoryview(len(body).to_bytes(_HEADER, "big") + body), copies))
        if len(self._output) == 1:
            self._flush()
            if self._output:
                self._want_write(True)

    def on_writable(self) -> None:
        """The socket takes bytes again."""
        self._flush()
        if not self._output:
            self._want_write(False)

    def on_readable(self) -> bool:
        """The socket has bytes, or its other end is gone. Returns whether there may be more."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, _CHUNK, _MOST_DESCRIPTORS)
        except BlockingIOError:
            return False
        except ConnectionError:
            data, descriptors = b"", []
        self._descriptors += descriptors
        if not data:
            self._hang_up()
            return False
        self._input += data
        self._deliver()
        return True

    def take_descriptors(self, count: int) -> list[int]:
        """The descriptors that came with the message being received, in order."""
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return taken

    def close(self) -> None:
        """Close this end, without calling `closed`."""
        self._open = False
        self._forget_output()
        self._sock.close()

    def _deliver(self) -> None:
        start = 0
        while len(self._input) - start >= _HEADER:
            size = int.from_bytes(self._input[start : start + _HEADER], "big")
            end = start + _HEADER + size
            if end > len(self._input):
                break
            message = self._decoder.decode(memoryview(self._input)[start + _HEADER : end])
            start = end
            self._receive(message)
        del self._input[:start]

    def _flush(self) -> None:
        try:
            while self._output:
                self._send_some(self._output[0])
        except BlockingIOError:
            pass
        except ConnectionError:
            self._forget_output()  # the end of the other side arrives at on_readable

    def _send_some(self, frame: _Frame) -> None:
        if frame.descriptors:  # they ride on the first byte of their frame
            rights = array.array("i", frame.descriptors)
            sent = self._sock.sendmsg([frame.data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            frame.close_descriptors()
        else:
            sent = self._sock.send(frame.data)
        frame.data = frame.data[sent:]
        if not frame.data:
            self._output.popleft()

    def _forget_output(self) -> None:
        for frame in self._output:
            frame.close_descriptors()
        self._output.clear()

    def _hang_up(self) -> None:
        if self._open:
            self._open = False
            self._closed()
