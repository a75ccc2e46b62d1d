"""Who may use the API: the owner of the Unix socket, and whoever has the token."""

from __future__ import annotations

import hashlib
import hmac

from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from vpn.api.errors import unauthorized

_LOCAL = "vpn.local"
_OPEN = frozenset(
    {"/health", "/ready", "/docs", "/docs/oauth2-redirect", "/swagger-ui", "/swagger-ui/", "/openapi.json"}
)
_OPEN_BELOW = "/static-offline-docs/"


def trusted(app: ASGIApp) -> ASGIApp:
    """The application for those whom the operating system let through: their requests need no token."""

    async def local(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_LOCAL] = True
        await app(scope, receive, send)

    return local


def asked_by(scope: Scope) -> str:
    """Who makes a request, for the log: ``local`` (over the Unix socket, or in process), or an address."""
    client = scope.get("client")
    return "local" if scope.get(_LOCAL) or client is None else str(client[0])


class Guard:
    """Middleware that lets a request pass if it is trusted, bears the token, or asks for what is open to all.

    It stands before everything else: of a request that does not pass, nothing but its head is looked at.
    """

    def __init__(self, app: ASGIApp, token: str, also_open: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._open = _OPEN | also_open
        self._expected = _digest(token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or answer it."""
        if scope["type"] != "http" or scope.get(_LOCAL) or self._is_open(scope["path"]) or self._bears_token(scope):
            await self._app(scope, receive, send)
        else:
            await unauthorized()(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self._open or path.startswith(_OPEN_BELOW)

    def _bears_token(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, token = value.partition(b" ")
                return scheme.lower() == b"bearer" and hmac.compare_digest(_digest(token.strip()), self._expected)
        return False


def documented() -> HTTPBearer:
    """What tells OpenAPI that a token is needed; `Guard` is what needs it."""
    return HTTPBearer(auto_error=False, description="The token in the file `api-token` of the data directory.")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
