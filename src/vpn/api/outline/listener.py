"""The listener of the Outline API: one, or none."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from starlette.types import ASGIApp

from vpn.api.server import APIServer


class OutlineListener:
    """Serves the application where it is told to.

    Args:
        make_app: makes it, once it is needed.
    """

    def __init__(self, make_app: Callable[[], ASGIApp]) -> None:
        self._make_app = make_app
        self._app: ASGIApp | None = None
        self._server: APIServer | None = None

    async def open(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        """Serve on this socket from now on, and no longer on another one."""
        self._app = self._app or self._make_app()
        before, self._server = self._server, APIServer(self._app, sock, tls=tls, quiet=True)
        self._server.start()
        if before is not None:
            await before.stop()

    async def close(self) -> None:
        """Serve no longer; requests under way end."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
