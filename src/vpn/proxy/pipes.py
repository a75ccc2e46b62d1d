"""Pipes for `splice`, by which bytes go from socket to socket without a visit to user space.

A flow holds a pipe only while bytes are in it, so few pipes serve many tunnels.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

SIZE = 1024 * 1024  # bytes that a pipe should hold; what the kernel allows is taken
MOST = 128  # pipes; a flow that gets none copies


class Pipe:
    """A pipe, and how many bytes are in it."""

    __slots__ = ("filled", "reader", "writer")

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.filled = 0
        with contextlib.suppress(OSError):  # more than this account may have: the 64 KiB of every pipe must do
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, SIZE)

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.reader)
        os.close(self.writer)


class Pipes:
    """The pipes of one worker."""

    def __init__(self) -> None:
        self._free: list[Pipe] = []
        self._made = 0

    @property
    def made(self) -> int:
        """Pipes that there are."""
        return self._made

    @property
    def in_use(self) -> int:
        """Pipes that a flow has."""
        return self._made - len(self._free)

    def take(self) -> Pipe | None:
        """An empty pipe, if there is one to be had."""
        if self._free:
            return self._free.pop()
        if self._made >= MOST:
            return None
        try:
            pipe = Pipe()
        except OSError:
            return None  # out of descriptors
        self._made += 1
        return pipe

    def give(self, pipe: Pipe) -> None:
        """A pipe is not needed any more; one that still holds a broken tunnel's bytes is thrown away."""
        if pipe.filled:
            self._made -= 1
            pipe.close()
        else:
            self._free.append(pipe)

    def close(self) -> None:
        """Close the free ones."""
        while self._free:
            self._free.pop().close()
            self._made -= 1
