"""Requests of the API as spans."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vpn.services.tracing import Tracer

_CARRIED = (b"traceparent", b"tracestate")


class Traced:
    """Middleware that records each request; what its headers say it is a part of, it is (W3C Trace Context).

    It stands behind the guard: nobody else can make us record anything.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request until it is answered, in full."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}
        attributes = {"http.request.method": method, "url.path": scope["path"], "url.scheme": scope["scheme"]}
        with self._tracer.span(method, attributes, carrier) as span:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set("http.response.status_code", status)
                    if status >= 500:
                        span.fail(str(status))
                await send(message)

            try:
                await self._app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", None)
                if route:
                    span.name(f"{method} {route}")
                    span.set("http.route", route)
