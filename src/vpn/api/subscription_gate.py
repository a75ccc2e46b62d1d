"""Subscriptions, as clients fetch them: ``GET /sub/TOKEN``.

They stand before the API and not in it. So whoever has such a URL reaches nothing else; the token is seen by no route,
span, error or log line of the API; and of a flood of strangers nothing but their heads is read.

What is no subscription is answered 404 without a word: unknown tokens, revoked ones, and everything below the prefix.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from functools import lru_cache

import structlog
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vpn.api.pages.subscription import CSP, render
from vpn.domain.address import pack
from vpn.domain.bans import lies_in, source_subject
from vpn.domain.errors import DomainError, Unavailable
from vpn.domain.hostname import is_hostname
from vpn.domain.network import parse_networks
from vpn.domain.request_rates import RequestRates
from vpn.domain.user import User
from vpn.links import qr
from vpn.links.documents import profile
from vpn.links.documents.formats import HTML, find_format, format_for
from vpn.services.subscriptions import PREFIX, SubscriptionService, document

_MOST_CODES = 256  # that are remembered; each is of one or two kilobytes
_METHODS = ("GET", "HEAD")
_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>[0-9]{1,5}))?", re.ASCII)
_PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


class SubscriptionGate:
    """Middleware that answers what is below `PREFIX`, and hands on everything else.

    Args:
        clock: seconds that do not go back.
    """

    def __init__(
        self, app: ASGIApp, subscriptions: SubscriptionService, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._subscriptions = subscriptions
        self._clock = clock
        self._rates = RequestRates()
        self._drawing = asyncio.Lock()
        self._draw = lru_cache(_MOST_CODES)(qr.png)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or hand it on."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope)
        except Unavailable:
            answer = Response(status_code=503, headers={"Retry-After": "30"})
        except DomainError as error:  # the token was right: who has it may know
            answer = Response(f"{error.message}; {error.hint}\n", 400, media_type="text/plain")
        except Exception as error:
            structlog.get_logger("api").error("defect in a subscription", exc_info=error)
            answer = Response(status_code=500)
        answer.headers.update(_PRIVATE)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        settings = self._subscriptions.settings
        if scope["method"] not in _METHODS:
            return Response(status_code=405, headers={"Allow": ", ".join(_METHODS)})
        headers = Headers(scope=scope)
        source, scheme = self._origin(scope, headers)
        wait = self._rates.wait(source, self._clock(), each=settings.rate, total=settings.total_rate)
        if wait:
            return Response(status_code=429, headers={"Retry-After": str(math.ceil(wait))})
        token = scope["path"].removeprefix(PREFIX)
        user = await self._subscriptions.find(token) if settings.enabled else None
        if user is None:
            return Response(status_code=404)
        self._rates.welcome(source)
        url = self._subscriptions.url(token, self._base(scheme, headers))
        said = QueryParams(scope["query_string"]).get("format", "")
        wanted = said or format_for(headers.get("user-agent", ""), headers.get("accept", ""))
        return await self._page(user, url) if wanted == HTML else await self._document(user, url, wanted)

    async def _document(self, user: User, url: str, wanted: str) -> Response:
        format = find_format(wanted)
        found = await self._subscriptions.content(user, page=url)
        fields = profile.headers(found.profile, format.extension)
        return Response(document(found, format), headers=fields | {"Content-Type": format.content_type})

    async def _page(self, user: User, url: str) -> Response:
        found = await self._subscriptions.content(user, page=url)
        fields = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": CSP}
        key = self._subscriptions.dynamic_key(url)
        # Drawing codes takes some tenths of a second: one page at a time, so that a crowd leaves time for all else.
        async with self._drawing:
            page = await asyncio.to_thread(render, found, url, key, self._draw)
        return Response(page, headers=fields)

    def _origin(self, scope: Scope, headers: Headers) -> tuple[str, str]:
        """Where a request comes from, and by which scheme."""
        host = scope["client"][0] if scope.get("client") else "local"
        scheme = scope["scheme"]
        trusted = parse_networks(self._subscriptions.settings.trusted_proxies)
        if lies_in(trusted, host):
            scheme = "https" if headers.get("x-forwarded-proto", "").lower() == "https" else scheme
            for hop in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
                host = _without_port(hop.strip()[:64]) or host
                if not lies_in(trusted, host):
                    break
        return source_subject(host), scheme

    def _base(self, scheme: str, headers: Headers) -> str:
        """What the URL begins with: as the settings say, else as the client itself has found here."""
        host = headers.get("host", "")
        if self._subscriptions.settings.url or not _is_place(host):
            return ""
        return f"{scheme}://{host}"


def _without_port(hop: str) -> str:
    """A hop of X-Forwarded-For, to which some web servers append the client's port: each would be another source."""
    host, colon, port = hop.rpartition(":")
    if colon and port.isdecimal() and pack(hop) is None:
        hop = host
    return hop[1:-1] if hop.startswith("[") and hop.endswith("]") else hop


def _is_place(text: str) -> bool:
    """Whether a Host header is one: a name or an address, perhaps with a port."""
    found = _HOST.fullmatch(text)
    if found is None or int(found["port"] or 1) > 65535:
        return False
    name = found["name"]
    return pack(name[1:-1] if name.startswith("[") else name) is not None or is_hostname(name)
