"""Requests to an application without a network, as from strangers: with headers, and answered with headers."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Scope


class Answer(NamedTuple):
    """What an application answers."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


async def ask(app: ASGIApp, target: str, method: str = "GET", source: str = "192.0.2.1", **headers: str) -> Answer:
    """One request from an address, with these headers (`user_agent` is User-Agent); a line for each of a value."""
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
        "headers": [
            (name.replace("_", "-").lower().encode(), value.encode())
            for name, values in ({"host": "vpn.example.org:9090"} | headers).items()
            for value in values.split("\n")
        ],
        "client": (source, 50000),
        "server": ("127.0.0.1", 9090),
    }
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    fields = {name.decode(): value.decode("latin-1") for name, value in said[0]["headers"]}
    return Answer(said[0]["status"], fields, b"".join(message.get("body", b"") for message in said[1:]))
