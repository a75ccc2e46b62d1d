"""``/api/inbounds``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Response

from vpn.api.errors import responses
from vpn.api.schemas.inbounds import InboundChanges, InboundList, InboundView, NewInbound
from vpn.domain.errors import Invalid
from vpn.services.inbounds import InboundService

Name = Annotated[str, Path(max_length=2000, examples=["phones"])]


def router(inbounds: InboundService) -> APIRouter:
    """Inbounds: list, add, show, change, remove."""
    router = APIRouter(prefix="/api/inbounds", tags=["inbounds"])

    @router.get("")
    async def list_inbounds() -> InboundList:
        """List inbounds: those of the settings, and then those that were added here."""
        return InboundList(data=[InboundView.of(state) for state in inbounds.all()])

    @router.post("", status_code=201, responses=responses(409, 503))
    async def add_inbound(new: Annotated[NewInbound, Body()]) -> InboundView:
        """Add an inbound. It is served when this is answered."""
        fields = dict(new)
        name = _text(fields.pop("name", None), "name")
        key = fields.pop("key", None)
        return InboundView.of(await inbounds.add(name, fields, _key(key)))

    @router.get("/{name}", responses=responses(404))
    async def show_inbound(name: Name) -> InboundView:
        """Show an inbound."""
        return InboundView.of(inbounds.get(name))

    @router.patch("/{name}", responses=responses(404, 409, 503))
    async def change_inbound(name: Name, changes: Annotated[InboundChanges, Body()]) -> InboundView:
        """Change an inbound; null takes a field back to its default. Clients that are connected stay."""
        fields = dict(changes)
        key = fields.pop("key", None)
        return InboundView.of(await inbounds.edit(name, fields, _key(key)))

    @router.delete("/{name}", status_code=204, responses=responses(404, 409, 503))
    async def remove_inbound(name: Name) -> Response:
        """Remove an inbound. Clients that are connected have proxy.drain_timeout to end."""
        await inbounds.remove(name)
        return Response(status_code=204)

    return router


def _key(value: Any) -> str | None:
    return None if value is None else _text(value, "key")


def _text(value: Any, field: str) -> str:
    if value is None:
        raise Invalid("bad_inbound", f"{field} is needed", "say it as well")
    if not isinstance(value, str):
        raise Invalid("bad_inbound", f"{field} is no text", "write it in quotes")
    return value
