"""Bodies as Outline's clients send them: JSON, whatever they call it, and forms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

_MOST_FIELDS = 20
_LONGEST_HEAD = 1000  # bytes, of a field
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s";]{1,70}))', re.IGNORECASE)
_NAME = re.compile(r'^content-disposition:\s*form-data;[^\r\n]*?\bname="([^"\r\n]*)"', re.IGNORECASE | re.MULTILINE)


class AnyBody(APIRoute):
    """A route that takes forms for JSON objects; Outline's own server makes no difference."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await answer(await _as_json(request))

        return handle


async def _as_json(request: Request) -> Request:
    """The same request, with a body in JSON."""
    content = await request.body()
    kind = request.headers.get("content-type", "")
    # Who sends JSON with curl, and says nothing of it, calls it a form.
    if content and not content.lstrip().startswith((b"{", b"[")):
        try:
            if kind.startswith("multipart/form-data"):
                content = _from_multipart(kind, content)
            elif kind.startswith("application/x-www-form-urlencoded"):
                fields = parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
                content = json.dumps(dict(fields)).encode()
        except ValueError:
            raise HTTPException(400, "the body is not a form") from None
    messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    scope = dict(request.scope) | {"headers": [*headers, (b"content-type", b"application/json")]}
    return Request(scope, receive)


def _from_multipart(kind: str, content: bytes) -> bytes:
    """The fields of a form (RFC 7578), as a JSON object. Read in one go: the library's parser of mail takes seconds
    for a head that is made for it.

    Raises:
        ValueError: it is no form.
    """
    boundary = _BOUNDARY.search(kind)
    if boundary is None:
        raise ValueError("nothing says where fields end")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode()
    _, *parts = (b"\r\n" + content).split(delimiter, _MOST_FIELDS + 1)
    fields: dict[str, str] = {}
    for part in parts:
        if part.startswith(b"--"):
            return json.dumps(fields).encode()
        head, _, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head.decode()) if len(head) <= _LONGEST_HEAD else None
        if name is None:
            raise ValueError("this is no field")
        fields[name[1]] = value.decode()
    raise ValueError("it does not end, or has too many fields")
