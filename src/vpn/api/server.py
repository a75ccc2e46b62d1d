"""Serving the application on sockets that are open already."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from vpn.api.arrivals import MOST_CONNECTIONS, Arrivals, Waiting
from vpn.api.errors import malformed

GRACE = 2  # seconds that requests under way have to end
HEAD_TIMEOUT = 10.0  # seconds a client has for the head of a request
KEEP_ALIVE = 30  # seconds that an idle connection is kept
READ_TIMEOUT = 30.0  # seconds in which a client has to read something of an answer


class _Protocol(H11Protocol):
    """HTTP/1.1 with bounds on how long a request's head may take, and reading an answer, and our answer to what is no
    request.
    """

    waiting: Waiting
    """Where it is noted that this connection has no request under way."""
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    bad_request = malformed()
    """The body of the answer to what is not HTTP."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; its first request has to follow."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some of a request came, or all of it."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        self.waiting.discard(self)
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()

    def on_response_complete(self) -> None:
        """A request is answered; the next one may come."""
        super().on_response_complete()  # which begins with the next one, if it has come
        self._note()

    def pause_writing(self) -> None:
        """More was written than the client has read."""
        super().pause_writing()
        self._expect_less(self.transport.get_write_buffer_size() + 1)

    def resume_writing(self) -> None:
        """The client has read most of it."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def give_up(self) -> None:
        """Close the connection if the client does not read what it was sent."""
        if self.flow.write_paused:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        del msg
        body = self.bad_request
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self.transport.close()

    def _expect_less(self, before: int) -> None:
        """Give up a client who has read nothing since there was so much for him to read."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._stalled = self.loop.call_later(READ_TIMEOUT, self._expect_less, left)
        else:
            self.transport.abort()

    def _note(self) -> None:
        """Say whether a request is under way."""
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.waiting.add(self, self.transport)
        else:
            self.waiting.discard(self)

    def _watch(self) -> None:
        """Give a head that is not complete ten seconds in all, and so the rest of a body that is answered already."""
        self._note()
        answered = self.conn.our_state in (h11.DONE, h11.MUST_CLOSE)
        waiting = self.conn.their_state is h11.IDLE or (answered and self.conn.their_state is h11.SEND_BODY)
        if waiting and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)
        elif not waiting and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _QuietProtocol(_Protocol):
    """The same, which does not say what this is."""

    bad_request = b""


class _Server(uvicorn.Server):
    """Leaves signals to the daemon, and accepts connections in our way."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        config, state = self.config, self.server_state
        waiting = Waiting()

        def connected() -> asyncio.Protocol:
            made: _Protocol = config.http_protocol_class(  # type: ignore[call-arg, assignment]
                config=config, server_state=state, app_state=self.lifespan.state
            )
            made.waiting = waiting
            return made

        arrivals = [Arrivals(sock, connected, config.ssl, state.connections, waiting) for sock in sockets or ()]
        self.servers = arrivals  # type: ignore[assignment]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class APIServer:
    """One listening socket and the application behind it.

    Args:
        tls: None: HTTP is spoken without TLS.
        quiet: who does not speak HTTP is not told what this is.
    """

    def __init__(
        self, app: ASGIApp, sock: socket.socket, *, tls: ssl.SSLContext | None = None, quiet: bool = False
    ) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            http=_QuietProtocol if quiet else _Protocol,
            ssl_context_factory=(lambda _config, _usual: tls) if tls is not None else None,
            limit_concurrency=MOST_CONNECTIONS,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = _Server(config)
        self._sock = sock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer; connections that are waiting are not lost."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._sock]))

    async def stop(self) -> None:
        """Let requests under way end, and close. Who has stopped to read his answer is not waited for."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=GRACE / 2)
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, _Protocol):
                    connection.give_up()
            await self._task
