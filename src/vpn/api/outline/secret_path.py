"""Who may use the Outline API: whoever knows the path that it lies below."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class SecretPath:
    """Lets requests below the secret path pass, as if there were no such path, and hides from all others what this is.

    Args:
        find_secret: the path, without slashes; None: nobody may pass.
    """

    def __init__(self, app: ASGIApp, find_secret: Callable[[], Awaitable[str | None]]) -> None:
        self._app = app
        self._find_secret = find_secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _, _, rest = scope["path"].partition("/")
        said, _, path = rest.partition("/")
        secret = await self._find_secret()
        # Digests are compared, so that the time it takes tells neither letters nor the length.
        known = hmac.compare_digest(_digest(said), _digest(secret or ""))
        if known and secret is not None:
            await self._app({**scope, "path": f"/{path.removesuffix('/')}", "root_path": ""}, receive, send)
        else:
            await Response(status_code=404)(scope, receive, send)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
