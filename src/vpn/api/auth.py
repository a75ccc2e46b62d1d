"""Who may use the API: the owner of the Unix socket, and whoever has the token."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from vpn.api.errors import Unauthorized

_LOCAL = "vpn.local"


def trusted(app: ASGIApp) -> ASGIApp:
    """The application for those whom the operating system let through: their requests need no token."""

    async def local(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_LOCAL] = True
        await app(scope, receive, send)

    return local


class RequireToken(HTTPBearer):
    """A dependency that lets a request pass if it is trusted, or bears the token.

    Raises:
        Unauthorized: neither.
    """

    def __init__(self, token: str) -> None:
        super().__init__(auto_error=False, description="The token in the file `api-token` of the data directory.")
        self._expected = _digest(token)

    async def __call__(self, request: Request) -> None:  # type: ignore[override]
        """Let the request pass, or raise."""
        if request.scope.get(_LOCAL):
            return
        credentials = await super().__call__(request)
        given = credentials.credentials if credentials is not None else ""
        if not hmac.compare_digest(_digest(given), self._expected):
            raise Unauthorized


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
