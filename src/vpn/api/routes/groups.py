"""``/api/groups``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from vpn.api.errors import responses
from vpn.api.schemas.groups import GroupChanges, GroupPage, GroupView, NewGroup
from vpn.services.groups import GroupService

Name = Annotated[str, Path(max_length=2000, examples=["staff"])]


def router(groups: GroupService) -> APIRouter:
    """Groups: list, add, show, change, remove."""
    router = APIRouter(prefix="/api/groups", tags=["groups"])

    @router.get("", response_model_exclude_none=True)
    async def list_groups(
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
        search: Annotated[str, Query(max_length=100, description="Part of a name or note.")] = "",
    ) -> GroupPage:
        """List groups by name."""
        found, total = await groups.page(page=page, page_size=page_size, search=search)
        return GroupPage(
            data=[GroupView.of(counted) for counted in found],
            total=total,
            page=page,
            page_size=page_size,
            total_pages=-(-total // page_size),
        )

    @router.post("", status_code=201, responses=responses(409), response_model_exclude_none=True)
    async def add_group(new: NewGroup) -> GroupView:
        """Add a group."""
        return GroupView.of(await groups.add(new.name, **new.fields()))

    @router.get("/{name}", responses=responses(404), response_model_exclude_none=True)
    async def show_group(name: Name) -> GroupView:
        """Show a group."""
        return GroupView.of(await groups.get(name))

    @router.patch("/{name}", responses=responses(404, 409), response_model_exclude_none=True)
    async def change_group(name: Name, changes: GroupChanges) -> GroupView:
        """Change a group."""
        return GroupView.of(await groups.edit(name, new_name=changes.name, **changes.fields()))

    @router.delete("/{name}", status_code=204, responses=responses(404, 409))
    async def remove_group(
        name: Name, force: Annotated[bool, Query(description="Also if users are in it.")] = False
    ) -> Response:
        """Remove a group."""
        await groups.remove(name, force=force)
        return Response(status_code=204)

    return router
