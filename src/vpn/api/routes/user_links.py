"""``/api/users/{name}/links``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from vpn.api.errors import responses
from vpn.api.schemas.user_links import LinksView
from vpn.links.documents.formats import find_format
from vpn.links.documents.nodes import Node
from vpn.services.access import AccessService
from vpn.services.renewal import Renewal
from vpn.services.users import UserService

Name = Annotated[str, Path(max_length=2000, examples=["alice"])]
Inbound = Annotated[str, Query(max_length=100, description="Only to this inbound.")]


def router(users: UserService, access: AccessService, renewal: Renewal) -> APIRouter:
    """What users need to connect: shown, and made anew."""
    router = APIRouter(prefix="/api/users/{name}/links", tags=["users"], responses=responses(404))

    @router.get("", responses=responses(409), response_model_exclude_none=True)
    async def show_links(
        name: Name,
        inbound: Inbound = "",
        format: Annotated[
            str, Query(max_length=100, description="As subscriptions have them, e.g. clash: the document is added.")
        ] = "",
    ) -> LinksView:
        """Show the links by which a user connects. They are secrets."""
        user = await users.get(name)
        wanted = find_format(format) if format else None
        found = await access.links(user, inbound=inbound)
        nodes = [Node(each.link.name, each.link) for each in found.links]
        return LinksView.of(user.name, found, wanted.write(nodes, None) if wanted else None)

    @router.post("/renew", response_model_exclude_none=True)
    async def renew_links(name: Name) -> LinksView:
        """Give a user another Shadowsocks key. Links from before are void at once, and who came by them is cut."""
        user = await users.get(name)
        await renewal.renew(user)
        return LinksView.of(user.name, await access.links(user))

    return router
