"""Requests to a daemon elsewhere, over TCP.

Apart from `local`, because a command for the daemon on this machine need not import an HTTP library.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Generator
from urllib.parse import SplitResult, urlsplit

from vpn.api.client import MOST_SILENT, TIMEOUT, Stream, Transport, Unreachable


def over_tcp(url: str, token: str, timeout: float = TIMEOUT) -> Transport:
    """Requests to a daemon elsewhere, e.g. ``https://vpn.example.org``.

    Raises:
        Unreachable: the URL is not one, or the daemon does not answer.
    """
    name, prefix, connect = _server(url, token, timeout)

    def transport(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        connection = connect()
        try:
            connection.request(method, prefix + target, body or None, _headers(token))
            response = connection.getresponse()
            return response.status, response.read()
        except (http.client.HTTPException, OSError) as error:
            raise _broke_off(name, error) from None
        finally:
            connection.close()

    return transport


def stream_tcp(url: str, token: str) -> Stream:
    """Streams from a daemon elsewhere; raises what `over_tcp` does."""
    name, prefix, connect = _server(url, token, MOST_SILENT)

    def stream(method: str, target: str) -> tuple[int, Generator[bytes, None, None]]:
        connection = connect()
        try:
            connection.request(method, prefix + target, None, _headers(token))
            response = connection.getresponse()
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise _broke_off(name, error) from None
        return response.status, _follow(connection, response, name)

    return stream


def _follow(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, name: str
) -> Generator[bytes, None, None]:
    try:
        while piece := response.read1(65536):
            yield piece
    except (http.client.HTTPException, OSError) as error:
        raise _broke_off(name, error) from None
    finally:
        response.close()
        connection.close()


def _server(url: str, token: str, timeout: float) -> tuple[str, str, Callable[[], http.client.HTTPConnection]]:
    """A server's name for people, what its paths begin with, and how to connect to it."""
    parts = _split(url)
    if not (token.isascii() and token.isprintable()):
        raise Unreachable("the token has characters that no token has", "copy it from the file api-token")
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    host, port = host_of(url), parts.port
    name = f"{parts.scheme}://{host}"  # without credentials, should there be any

    def connect() -> http.client.HTTPConnection:
        try:
            connection = make(host, port, timeout=timeout)
            connection.connect()
        except (http.client.InvalidURL, UnicodeError):
            raise _no_url(url) from None
        except OSError as error:
            raise Unreachable(f"{name}: {error.strerror or error}", "is the server up, and --server right?") from None
        return connection

    return name, parts.path.rstrip("/"), connect


def _headers(token: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}


def _broke_off(name: str, error: Exception) -> Unreachable:
    return Unreachable(f"{name} broke off: {str(error) or type(error).__name__}", "its log may say why; try again")


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
