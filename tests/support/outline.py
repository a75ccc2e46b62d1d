"""A client of Outline's management API, as the line that sets it up says, with the certificate pinned."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What came back."""

    status: int
    content: Any
    """From JSON; None: there was no body."""


class Outline:
    """Requests to a server.

    Args:
        line: ``{"apiUrl": …, "certSha256": …}``.
    """

    def __init__(self, line: str) -> None:
        setup = json.loads(line)
        assert list(setup) == ["apiUrl", "certSha256"]
        self.url: str = setup["apiUrl"]
        self.certificate: str = setup["certSha256"]

    @property
    def secret(self) -> str:
        """The path."""
        return urlsplit(self.url).path

    def connect(self) -> http.client.HTTPSConnection:
        """A connection to the very server that the line means."""
        parts = urlsplit(self.url)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=15)
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True)
        assert hashlib.sha256(shown or b"").hexdigest().upper() == self.certificate
        return connection

    def call(self, method: str, path: str, body: Any = None, content: str | None = None, kind: str = "") -> Answer:
        """Ask for a path below the secret one, with a body in JSON, or with this content of this kind."""
        said = json.dumps(body) if body is not None else content
        headers = {"Content-Type": kind or "application/json"} if said is not None else {}
        return self.raw(method, self.secret + path, said, headers)

    def raw(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Ask for any path."""
        connection = self.connect()
        try:
            connection.request(method, path, None if body is None else body.encode(), headers or {})
            answer = connection.getresponse()
            content = answer.read()
            return Answer(answer.status, json.loads(content) if content else None)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """What a path that is there holds."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return answer.content

    def add(self, **said: Any) -> Any:
        """A new access key."""
        answer = self.call("POST", "/access-keys", said or None)
        assert answer.status == 201, answer
        return answer.content

    def all(self) -> dict[str, Any]:
        """All access keys by their identifiers."""
        return {key["id"]: key for key in self.get("/access-keys")["accessKeys"]}
