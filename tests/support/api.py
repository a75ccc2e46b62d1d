"""The API of a real daemon, over TCP and with its token."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vpn.api.client import parse_events


class API:
    """Requests to a daemon."""

    def __init__(self, url: str, data_dir: Path) -> None:
        self._url = url
        self._token = (data_dir / "api-token").read_text().strip()

    def call(self, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Status, and what the answer holds."""
        try:
            with urllib.request.urlopen(self._request(method, target, body), timeout=15) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def get(self, target: str) -> Any:
        """What a request that succeeds is answered."""
        status, answer = self.call("GET", target)
        assert status == 200, answer
        return answer

    @contextlib.contextmanager
    def following(self, target: str) -> Iterator[list[dict[str, Any]]]:
        """Events as they come, gathered while the block runs."""
        events: list[dict[str, Any]] = []
        answer = urllib.request.urlopen(self._request("GET", target), timeout=30)

        def gather() -> None:
            # What is read while the other thread closes it ends in one of these.
            with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
                for name, data in parse_events(iter(answer.readline, b"")):
                    events.append({"event": name} | json.loads(data))

        thread = threading.Thread(target=gather, daemon=True)
        thread.start()
        try:
            yield events
        finally:
            answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            answer.close()

    def _request(self, method: str, target: str, body: Any = None) -> urllib.request.Request:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return urllib.request.Request(self._url + target, content, headers, method=method)
