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

from vpn.api.errors import malformed

GRACE = 2  # seconds that requests under way have to end
HEAD_TIMEOUT = 10.0  # seconds a client has for the head of a request
MOST_CONNECTIONS = 512  # on one socket; requests over others are answered 503
HANDSHAKE_TIMEOUT = 10.0  # seconds a client has for TLS
KEEP_ALIVE = 30  # seconds that an idle connection is kept


class _Protocol(H11Protocol):
    """HTTP/1.1 with a bound on how long a request's head may take, and our answer to what is none."""

    _deadline: asyncio.TimerHandle | None = None
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
        if self._deadline is not None:
            self._deadline.cancel()

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

    def _watch(self) -> None:
        """Give a head that is not complete ten seconds in all."""
        waiting = self.conn.their_state is h11.IDLE
        if waiting and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)
        elif not waiting and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _QuietProtocol(_Protocol):
    """The same, which does not say what this is."""

    bad_request = b""


class _Server(uvicorn.Server):
    """Leaves signals to the daemon, and waits no minute for TLS."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        config = self.config

        def connected() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        timeout = HANDSHAKE_TIMEOUT if config.ssl else None
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                connected, sock=sock, ssl=config.ssl, ssl_handshake_timeout=timeout, backlog=config.backlog
            )
            for sock in sockets or ()
        ]
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
