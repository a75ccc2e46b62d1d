"""``/api/users``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from vpn.api.errors import responses
from vpn.api.schemas.users import NewPassword, NewUser, UserAccess, UserChanges, UserPage, UserView
from vpn.domain.user import Selection
from vpn.services.users import UserService

LinksFor = Callable[[str, str], Sequence[str]]
"""The links of a user with this name and password."""

Name = Annotated[str, Path(max_length=2000, examples=["alice"])]


def router(users: UserService, links_for: LinksFor) -> APIRouter:
    """Users: list, add, show, change, remove."""
    router = APIRouter(prefix="/api/users", tags=["users"])

    @router.get("")
    async def list_users(
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
        search: Annotated[str, Query(max_length=100, description="Part of a name or note.")] = "",
    ) -> UserPage:
        """List users by name."""
        found, total = await users.page(page=page, page_size=page_size, where=Selection(search=search))
        return UserPage(
            data=[UserView.of(user) for user in found],
            total=total,
            page=page,
            page_size=page_size,
            total_pages=-(-total // page_size),
        )

    @router.post("", status_code=201, responses=responses(409))
    async def add_user(new: NewUser) -> UserAccess:
        """Add a user. The answer is the only place where the password is shown."""
        admission = await users.add(new.name, new.password, note=new.note, enabled=new.enabled)
        return UserAccess.of(admission, links_for(admission.user.name, admission.password))

    @router.get("/{name}", responses=responses(404))
    async def show_user(name: Name) -> UserView:
        """Show a user."""
        return UserView.of(await users.get(name))

    @router.patch("/{name}", responses=responses(404, 409))
    async def change_user(name: Name, changes: UserChanges) -> UserView:
        """Change a user. Disabling or renaming a user closes the user's connections."""
        return UserView.of(await users.edit(name, new_name=changes.name, **changes.fields()))

    @router.delete("/{name}", status_code=204, responses=responses(404))
    async def remove_user(name: Name) -> Response:
        """Remove a user, and close the user's connections."""
        await users.remove(name)
        return Response(status_code=204)

    @router.post("/{name}/password", responses=responses(404))
    async def set_password(name: Name, new: NewPassword) -> UserAccess:
        """Give a user another password. Open connections go on."""
        admission = await users.set_password(name, new.password)
        return UserAccess.of(admission, links_for(admission.user.name, admission.password))

    return router
