"""Who connects to a listener of the API, and who gives way to him."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Collection

import structlog

HANDSHAKE_TIMEOUT = 10.0  # seconds a client has for TLS
MOST_CONNECTIONS = 512  # on one socket; where all have requests under way, others are answered 503
_AT_ONCE = 64  # connections that are accepted in one turn of the loop
_PAUSE = 1.0  # seconds, when the system has no room for more


class Waiting:
    """Connections that have no request under way, those first that have waited longest."""

    def __init__(self) -> None:
        self._transports: dict[object, asyncio.Transport] = {}

    def __len__(self) -> int:
        return len(self._transports)

    def add(self, connection: object, transport: asyncio.Transport) -> None:
        """This one waits, from now on or still."""
        self._transports.setdefault(connection, transport)

    def discard(self, connection: object) -> None:
        """This one waits no longer."""
        self._transports.pop(connection, None)

    def end_first(self) -> None:
        """Close the one that has waited longest, at once."""
        first = next(iter(self._transports))
        self._transports.pop(first).abort()


class Arrivals:
    """Accepts connections on a socket, and keeps them from becoming too many.

    Where there are `MOST_CONNECTIONS`, the one that has waited longest, in TLS's handshake or for a request, gives way
    to who comes, so that nobody is shut out by others' silence.

    Args:
        connections: all that have come, and are there.
        waiting: those of them that have no request under way.
    """

    def __init__(
        self,
        sock: socket.socket,
        make: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        connections: Collection[object],
        waiting: Waiting,
    ) -> None:
        self._sock = sock
        self._make = make
        self._tls = tls
        self._connections = connections
        self._waiting = waiting
        self._coming: dict[asyncio.Task[None], None] = {}
        self._resumption: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept nobody any more; who is in TLS's handshake is let go."""
        if self._resumption is not None:
            self._resumption.cancel()
        self._loop.remove_reader(self._sock.fileno())
        for task in self._coming:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until they are gone."""
        if self._coming:
            await asyncio.wait(list(self._coming))

    def _resume(self) -> None:
        self._resumption = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # too many open files, or no memory
                structlog.get_logger("api").error("no connection can be accepted", reason=str(error))
                self._loop.remove_reader(self._sock.fileno())
                self._resumption = self._loop.call_later(_PAUSE, self._resume)
                return
            self._make_room()
            task = self._loop.create_task(self._begin(connection))
            self._coming[task] = None
            task.add_done_callback(lambda task: self._coming.pop(task, None))

    def _make_room(self) -> None:
        if len(self._coming) + len(self._connections) < MOST_CONNECTIONS:
            return
        if len(self._coming) > len(self._waiting):
            first = next(iter(self._coming))
            del self._coming[first]
            first.cancel()
        elif self._waiting:
            self._waiting.end_first()

    async def _begin(self, connection: socket.socket) -> None:
        timeout = HANDSHAKE_TIMEOUT if self._tls is not None else None
        try:
            await self._loop.connect_accepted_socket(
                self._make, connection, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except OSError:
            connection.close()  # whoever it was did not speak TLS, or was too slow, or went away
        except BaseException:
            connection.close()
            raise
