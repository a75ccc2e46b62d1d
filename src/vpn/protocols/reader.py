"""The buffer that parsers read from, and that hands early bytes on."""

from __future__ import annotations

from collections.abc import Generator


class LimitExceeded(Exception):
    """A delimiter did not come within the bound that the parser set."""


class Reader:
    """Bytes received and not yet parsed.

    Parsers take bytes with ``yield from reader.exactly(n)``; each bare ``yield`` inside means "feed me".
    """

    __slots__ = ("_buffer", "ended")

    def __init__(self, data: bytes = b"") -> None:
        self._buffer = data
        self.ended = False
        """Whether nothing more will be fed."""

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._buffer += data

    def exactly(self, count: int) -> Generator[None, None, bytes]:
        """Take `count` bytes, however they were cut up on the way."""
        while len(self._buffer) < count:
            yield
        taken = self._buffer[:count]
        self._buffer = self._buffer[count:]
        return taken

    def some(self, most: int) -> Generator[None, None, bytes]:
        """Take what there is, at least one byte and at most `most`; nothing only at the end of the stream."""
        while not self._buffer and not self.ended:
            yield
        taken = self._buffer[:most]
        self._buffer = self._buffer[most:]
        return taken

    def until(self, delimiter: bytes, limit: int) -> Generator[None, None, bytes]:
        """Take everything before `delimiter`, and drop the delimiter.

        Raises:
            LimitExceeded: the delimiter does not end within the first `limit` bytes.
        """
        searched = 0
        while True:
            end = self._buffer.find(delimiter, searched, limit)
            if end >= 0:
                break
            if len(self._buffer) >= limit:
                raise LimitExceeded
            searched = max(0, len(self._buffer) - len(delimiter) + 1)
            yield
        taken = self._buffer[:end]
        self._buffer = self._buffer[end + len(delimiter) :]
        return taken

    def peek(self) -> bytes:
        """What is buffered, without taking it."""
        return self._buffer

    def rest(self) -> bytes:
        """Hand over everything buffered, exactly once."""
        taken = self._buffer
        self._buffer = b""
        return taken
