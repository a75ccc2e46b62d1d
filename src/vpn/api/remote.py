"""Requests to a daemon elsewhere, over TCP.

Apart from `local`, because a command for the daemon on this machine need not import an HTTP library.
"""

from __future__ import annotations

import http.client
from urllib.parse import SplitResult, urlsplit

from vpn.api.client import TIMEOUT, Transport, Unreachable


def over_tcp(url: str, token: str, timeout: float = TIMEOUT) -> Transport:
    """Requests to a daemon elsewhere, e.g. ``https://vpn.example.org``.

    Raises:
        Unreachable: the URL is not one, or the daemon does not answer.
    """
    parts = _split(url)
    if not (token.isascii() and token.isprintable()):
        raise Unreachable("the token has characters that no token has", "copy it from the file api-token")
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    host, port = host_of(url), parts.port
    name = f"{parts.scheme}://{host}"  # without credentials, should there be any
    prefix = parts.path.rstrip("/")

    def transport(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            connection = make(host, port, timeout=timeout)
            connection.connect()
        except (http.client.InvalidURL, UnicodeError):
            raise _no_url(url) from None
        except OSError as error:
            raise Unreachable(f"{name}: {error.strerror or error}", "is the server up, and --server right?") from None
        return _exchange(connection, method, prefix + target, body, headers, name)

    return transport


def _exchange(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes, headers: dict[str, str], name: str
) -> tuple[int, bytes]:
    try:
        connection.request(method, target, body or None, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    except (http.client.HTTPException, OSError) as error:
        problem = str(error) or type(error).__name__
        raise Unreachable(f"{name} broke off: {problem}", "its log may say why; try again") from None
    finally:
        connection.close()


def host_of(url: str) -> str:
    """The host that a server's URL names.

    Raises:
        Unreachable: the URL is not one.
    """
    return _split(url).hostname or ""


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        usable = False
    if not usable:
        raise _no_url(url)
    return parts


def _no_url(url: str) -> Unreachable:
    shown = url.rpartition("@")[2]  # without credentials, should there be any
    return Unreachable(f"{shown!r} is not the URL of a server", "write it as http://host:port or https://host")
