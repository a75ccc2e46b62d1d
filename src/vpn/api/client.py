"""The API from outside. The command line and the terminal UI import this and nothing below it.

Nothing heavy is imported here: a command must be done before its user has noticed.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT = 30.0  # seconds for one request
PAGE = 1000  # users fetched at a time

Transport = Callable[[str, str, bytes], tuple[int, bytes]]
"""Method, path with query, body; answered with status and body."""


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


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("local", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self._path))


def over_unix(path: Path) -> Transport:
    """Requests over the Unix socket of a daemon on this machine.

    The transport raises FileNotFoundError or ConnectionRefusedError where no daemon listens.
    """

    def transport(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        return _exchange(_UnixConnection(path), method, target, body, {}, f"the daemon at {path}")

    return transport


def over_tcp(url: str, token: str) -> Transport:
    """Requests to a daemon elsewhere, e.g. ``https://vpn.example.org``.

    Raises:
        Unreachable: the URL is not one, or the daemon does not answer.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname or (port is None and ":" in parts.netloc[-6:]):
        raise Unreachable(f"{url!r} is not the URL of a server", "write it as http://host:port or https://host")
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    host = parts.hostname
    prefix = parts.path.rstrip("/")

    def transport(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            return _exchange(make(host, port, timeout=TIMEOUT), method, prefix + target, body, headers, url)
        except OSError as error:
            raise Unreachable(f"{url}: {error.strerror or error}", "is the server up, and --server right?") from None

    return transport


def _exchange(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes, headers: dict[str, str], name: str
) -> tuple[int, bytes]:
    try:
        connection.request(method, target, body or None, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    except (http.client.HTTPException, TimeoutError) as error:
        problem = str(error) or type(error).__name__
        raise Unreachable(f"{name} broke off: {problem}", "its log may say why; try again") from None
    finally:
        connection.close()


class Client:
    """The API's operations."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def status(self) -> dict[str, Any]:
        """The daemon's state."""
        return self._request("GET", "/api/status")

    def users(self, search: str = "") -> Iterator[dict[str, Any]]:
        """All users by name, fetched page by page."""
        number, pages = 1, 1
        while number <= pages:
            query = {"page": number, "page_size": PAGE, **({"search": search} if search else {})}
            page = self._request("GET", f"/api/users?{urlencode(query)}")
            yield from page["data"]
            number, pages = number + 1, page["total_pages"]

    def user(self, name: str) -> dict[str, Any]:
        """One user."""
        return self._request("GET", _user(name))

    def add_user(self, name: str, password: str | None, note: str, enabled: bool) -> dict[str, Any]:
        """Add a user; the answer holds his password and links."""
        new = {"name": name, "note": note, "enabled": enabled}
        return self._request("POST", "/api/users", new | ({} if password is None else {"password": password}))

    def change_user(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change fields of a user."""
        return self._request("PATCH", _user(name), changes)

    def remove_user(self, name: str) -> None:
        """Remove a user."""
        self._request("DELETE", _user(name))

    def set_password(self, name: str, password: str | None) -> dict[str, Any]:
        """Give a user another password; the answer holds it, and his links."""
        return self._request("POST", f"{_user(name)}/password", {} if password is None else {"password": password})

    def _request(self, method: str, target: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        status, answer = self._transport(method, target, b"" if body is None else json.dumps(body).encode())
        try:
            content = json.loads(answer or b"{}")
        except ValueError:
            content = None
        if 200 <= status < 300 and isinstance(content, dict):
            return content
        error = content if isinstance(content, dict) else {}
        raise APIError(
            status,
            str(error.get("code", "unknown")),
            str(error.get("message", f"the server answered {status}")),
            str(error.get("hint", "is this the address of a vpn daemon?")),
        )


def _user(name: str) -> str:
    return f"/api/users/{quote(name, safe='')}"
