"""A bound on the bodies of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_TIMEOUT = 10.0  # seconds


class BoundedBody:
    """Reads no more of a request than is allowed at its path, and waits no longer than `BODY_TIMEOUT` for it.

    Args:
        largest: bytes.
        larger: bytes by what a path begins with, where they are others.
    """

    def __init__(self, app: ASGIApp, largest: int, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._largest = largest
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, whatever comes of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        largest = left = next(
            (most for path, most in self._larger.items() if scope["path"].startswith(path)), self._largest
        )
        deadline = asyncio.get_running_loop().time() + BODY_TIMEOUT
        complete = False

        async def bounded() -> Message:
            nonlocal left, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {BODY_TIMEOUT:.0f} seconds") from None
            complete = not message.get("more_body")
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"the body is larger than {largest} bytes")
            return message

        await self._app(scope, bounded, send)
