"""The application called without a network, for the command line when no daemon is running."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Scope

from vpn.api.auth import trusted


async def call(app: ASGIApp, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    """One trusted request: `target` is path and query. Returns status and body."""
    parts = urlsplit(target)
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(b"host", b"local"), (b"content-type", b"application/json")],
        "client": None,
        "server": None,
    }
    status = 0
    chunks: list[bytes] = []

    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()  # the client stays, and says no more
        return messages.pop()

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            chunks.append(message.get("body", b""))

    await trusted(app)(scope, receive, send)
    return status, b"".join(chunks)
