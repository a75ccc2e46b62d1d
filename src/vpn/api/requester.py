"""Asking the API: requests, pages, streams, and what it means when it says no.

Nothing heavy is imported here: a command must be done before its user has noticed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

TIMEOUT = 30.0  # seconds for one request
PAGE = 1000  # things fetched at a time

Transport = Callable[[str, str, bytes], tuple[int, bytes]]
"""Method, path with query, body; answered with status and body."""

Stream = Callable[[str, str], tuple[int, Generator[bytes, None, None]]]
"""Method, path with query; answered with status and pieces of a body that may go on for ever.

Closing the generator closes the connection; it raises Unreachable where the server breaks off or falls silent.
"""

MOST_SILENT = 45.0  # seconds; a stream says something every fifteen


class APIError(Exception):
    """The API said no. `status` is its HTTP status."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint


class Unreachable(Exception):
    """There is no API to talk to, or it broke off. Carries what, and how to mend it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Requester:
    """Asks. `Client` (vpn.api.client) knows what for."""

    def __init__(self, transport: Transport, stream: Stream | None = None) -> None:
        self._transport = transport
        self._stream = stream

    def follow(self, target: str) -> Iterator[dict[str, Any]]:
        """What a stream of the API tells, until the daemon stops; `target` is path and query.

        Where this program was too slow, ``{"dropped": 12}`` stands for what it was not told.

        Raises:
            Unreachable: there is no daemon, or it broke off.
        """
        if self._stream is None:
            raise Unreachable("this needs a daemon", "start one with: vpn serve")
        status, pieces = self._stream("GET", target)
        if status != 200:
            raise _refusal(status, b"".join(pieces))
        try:
            for name, data in parse_events(pieces):
                if name == "end":
                    return
                yield json.loads(data)
        finally:
            pieces.close()
        raise Unreachable("the daemon broke off", "its log may say why; try again")

    def _pages(self, path: str, where: dict[str, Any]) -> Iterator[dict[str, Any]]:
        number, pages = 1, 1
        while number <= pages:
            page = self._request("GET", f"{path}?{query_of({'page': number, 'page_size': PAGE} | where)}")
            yield from page["data"]
            number, pages = number + 1, page["total_pages"]

    def _request(self, method: str, target: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content: dict[str, Any] = self._call(dict, method, target, body)
        return content

    def _call(self, kind: type, method: str, target: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._content(method, target, body)
        with contextlib.suppress(ValueError):
            content = json.loads(answer or b"{}")
            if isinstance(content, kind):
                return content
        raise _refusal(200, answer)

    def _content(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        status, answer = self._transport(method, target, b"" if body is None else json.dumps(body).encode())
        if 200 <= status < 300:
            return answer
        raise _refusal(status, answer)


def parse_events(pieces: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Name and data of server-sent events, from pieces cut anywhere (HTML standard, 9.2.6).

    What stands at the end without the blank line after it is no event.
    """
    name, data = "", ""
    buffer = b""
    for piece in pieces:
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            field, _, value = line.rstrip(b"\r").decode(errors="replace").partition(":")
            if field == "event":
                name = value.removeprefix(" ")
            elif field == "data":
                data += value.removeprefix(" ")
            elif not field and not value:
                if data or name:
                    yield name, data
                name, data = "", ""


def _refusal(status: int, answer: bytes) -> APIError:
    try:
        content = json.loads(answer or b"{}")
    except ValueError:
        content = None
    error = content if isinstance(content, dict) else {}
    return APIError(
        status,
        str(error.get("code", "unknown")),
        str(error.get("message", f"the server answered {status}")),
        str(error.get("hint", "is this the address of a vpn daemon?")),
    )


def query_of(said: dict[str, Any]) -> str:
    """A query of what is said: neither nothing nor the empty text is."""
    said = {key: str(value).lower() if isinstance(value, bool) else value for key, value in said.items()}
    return urlencode({key: value for key, value in said.items() if value not in ("", None)})
