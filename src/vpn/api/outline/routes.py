"""The paths of Outline's management API, below the secret one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from vpn.api.outline.any_body import AnyBody
from vpn.api.outline.errors import responses
from vpn.api.outline.schemas import (
    AccessKeys,
    AccessKeyView,
    HostnameBody,
    LimitBody,
    MetricsEnabled,
    NameBody,
    NewAccessKey,
    PortBody,
    ServerInfo,
    ServerMetrics,
    Transfer,
)
from vpn.services.outline.keys import KeyService
from vpn.services.outline.metrics import MetricsService
from vpn.services.outline.server import VERSION, ServerService

Id = Annotated[str, Path(max_length=200, examples=["7"])]
_DONE = 204


def server_router(server: ServerService) -> APIRouter:
    """The server itself."""
    router = APIRouter(tags=["server"], route_class=AnyBody, responses=responses(503))

    @router.get("/server", response_model_exclude_none=True)
    async def show_server() -> ServerInfo:
        """Show the server."""
        return ServerInfo.of(await server.view(), VERSION)

    @router.put("/name", status_code=_DONE)
    async def rename_server(body: NameBody) -> Response:
        """Give the server another name."""
        await server.rename(body.name)
        return Response(status_code=_DONE)

    @router.put("/server/hostname-for-access-keys", status_code=_DONE)
    async def set_hostname(body: HostnameBody) -> Response:
        """Let the links of access keys name this host."""
        await server.set_hostname(body.hostname)
        return Response(status_code=_DONE)

    @router.put("/server/port-for-new-access-keys", status_code=_DONE, responses=responses(409))
    async def set_port(body: PortBody) -> Response:
        """Let new access keys lead to this port. Older ones stay as they are."""
        await server.set_port(body.port)
        return Response(status_code=_DONE)

    # The second path is what the first one was called once.
    @router.put("/server/access-key-data-limit", status_code=_DONE)
    @router.put("/experimental/access-key-data-limit", status_code=_DONE, deprecated=True, operation_id="old_set_limit")
    async def set_limit(body: LimitBody) -> Response:
        """Limit each access key that has no limit of its own."""
        await server.set_limit(body.limit.bytes)
        return Response(status_code=_DONE)

    @router.delete("/server/access-key-data-limit", status_code=_DONE)
    @router.delete(
        "/experimental/access-key-data-limit", status_code=_DONE, deprecated=True, operation_id="old_remove_limit"
    )
    async def remove_limit() -> Response:
        """Take that limit away."""
        await server.set_limit(None)
        return Response(status_code=_DONE)

    return router


def key_router(keys: KeyService) -> APIRouter:
    """Access keys."""
    router = APIRouter(prefix="/access-keys", tags=["access keys"], route_class=AnyBody, responses=responses(503))

    @router.get("", response_model_exclude_none=True)
    async def list_keys() -> AccessKeys:
        """List access keys, the oldest first."""
        found = [AccessKeyView.of(key) for key in await keys.all()]
        return AccessKeys.model_construct(access_keys=found)

    @router.post("", status_code=201, responses=responses(409), response_model_exclude_none=True)
    async def add_key(new: NewAccessKey | None = None) -> AccessKeyView:
        """Add an access key."""
        return AccessKeyView.of(await keys.add((new or NewAccessKey()).new()))

    @router.put("/{id}", status_code=201, responses=responses(409), response_model_exclude_none=True)
    async def add_key_called(id: Id, new: NewAccessKey | None = None) -> AccessKeyView:
        """Add an access key with this id."""
        return AccessKeyView.of(await keys.add((new or NewAccessKey()).new(), id))

    @router.get("/{id}", responses=responses(404), response_model_exclude_none=True)
    async def show_key(id: Id) -> AccessKeyView:
        """Show an access key."""
        return AccessKeyView.of(await keys.get(id))

    @router.delete("/{id}", status_code=_DONE, responses=responses(404))
    async def remove_key(id: Id) -> Response:
        """Remove an access key; whoever is connected with it is cut."""
        await keys.remove(id)
        return Response(status_code=_DONE)

    @router.put("/{id}/name", status_code=_DONE, responses=responses(404))
    async def rename_key(id: Id, body: NameBody) -> Response:
        """Give an access key another name."""
        await keys.rename(id, body.name)
        return Response(status_code=_DONE)

    @router.put("/{id}/data-limit", status_code=_DONE, responses=responses(404))
    async def set_key_limit(id: Id, body: LimitBody) -> Response:
        """Limit an access key."""
        await keys.limit(id, body.limit.bytes)
        return Response(status_code=_DONE)

    @router.delete("/{id}/data-limit", status_code=_DONE, responses=responses(404))
    async def remove_key_limit(id: Id) -> Response:
        """Take an access key's own limit away."""
        await keys.limit(id, None)
        return Response(status_code=_DONE)

    return router


def metrics_router(server: ServerService, metrics: MetricsService) -> APIRouter:
    """What was moved."""
    router = APIRouter(tags=["metrics"], route_class=AnyBody, responses=responses(503))

    @router.get("/metrics/transfer")
    async def show_transfer() -> Transfer:
        """Show what each access key has moved in the last 30 days, in bytes, both directions together."""
        return Transfer(by_user=await metrics.transfer())

    @router.get("/metrics/enabled")
    async def show_metrics_enabled() -> MetricsEnabled:
        """Show whether metrics are shared."""
        return MetricsEnabled(metrics_enabled=(await server.view()).metrics_enabled)

    @router.put("/metrics/enabled", status_code=_DONE)
    async def set_metrics_enabled(body: MetricsEnabled) -> Response:
        """Say whether metrics are shared. They never are: it is only remembered."""
        await server.set_metrics(body.metrics_enabled)
        return Response(status_code=_DONE)

    @router.get("/experimental/server/metrics")
    async def show_metrics(
        since: Annotated[str, Query(max_length=40, description="A time ago, e.g. 30d or 12h.")] = "30d",
    ) -> ServerMetrics:
        """Show what the server and each access key come to."""
        return ServerMetrics.of(await metrics.figures(since))

    return router
