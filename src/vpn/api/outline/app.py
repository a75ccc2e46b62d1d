"""The application that speaks Outline's management API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from fastapi import FastAPI

from vpn import __version__
from vpn.api.bounded_body import BoundedBody
from vpn.api.outline import errors
from vpn.api.outline.routes import key_router, metrics_router, server_router
from vpn.api.outline.secret_path import SecretPath
from vpn.services.outline.keys import KeyService
from vpn.services.outline.metrics import MetricsService
from vpn.services.outline.server import ServerService

LARGEST_BODY = 64 * 1024  # bytes


class OutlineServices(NamedTuple):
    """What the application offers."""

    keys: KeyService
    server: ServerService
    metrics: MetricsService


def create_outline_app(services: OutlineServices, find_secret: Callable[[], Awaitable[str | None]]) -> FastAPI:
    """Put the application together.

    Args:
        find_secret: the path that it lies below; None: it is not there.
    """
    app = _App(
        title="Outline Server Management",
        version=__version__,
        description="Outline's management API, for programs that know it. It lies below a secret path.",
        docs_url=None,
        redoc_url=None,
        servers=[{"url": "."}],
        responses=errors.responses(400, 409),
        redirect_slashes=False,
    )
    errors.install(app)
    app.add_middleware(BoundedBody, largest=LARGEST_BODY)
    app.add_middleware(SecretPath, find_secret=find_secret)  # the one added last is asked first
    app.include_router(server_router(services.server))
    app.include_router(key_router(services.keys))
    app.include_router(metrics_router(services.server, services.metrics))
    return app


class _App(FastAPI):
    """Whose document does not tell of 422, which Outline does not know."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            for operation in (each for path in super().openapi()["paths"].values() for each in path.values()):
                operation["responses"].pop("422", None)
        assert self.openapi_schema is not None
        return self.openapi_schema
