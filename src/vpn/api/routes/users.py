"""``/api/users``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from vpn.api.errors import responses
from vpn.api.schemas.users import (
    BulkChanges,
    Changed,
    NewPassword,
    NewUser,
    UserAccess,
    UserChanges,
    UserPage,
    UserView,
    Where,
)
from vpn.domain.user import User
from vpn.services.access import AccessService
from vpn.services.groups import GroupService
from vpn.services.users import Admission, UserService

Name = Annotated[str, Path(max_length=2000, examples=["alice"])]


def router(users: UserService, groups: GroupService, access: AccessService) -> APIRouter:
    """Users: list, add, show, change, remove."""
    router = APIRouter(prefix="/api/users", tags=["users"])

    @router.get("", response_model_exclude_none=True)
    async def list_users(
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
        search: Annotated[str, Query(max_length=100, description="Part of a name or note.")] = "",
        group: Annotated[str, Query(max_length=100, description="Only who is in this group.")] = "",
        enabled: Annotated[bool | None, Query(description="Only who may connect, or may not.")] = None,
    ) -> UserPage:
        """List users by name."""
        where = Where(search=search, group=group, enabled=enabled).selection()
        found, total = await users.page(page=page, page_size=page_size, where=where)
        return UserPage(
            data=UserView.of_all(found, await groups.limits_of(found)),
            total=total,
            page=page,
            page_size=page_size,
            total_pages=-(-total // page_size),
        )

    @router.post("", status_code=201, responses=responses(409), response_model_exclude_none=True)
    async def add_user(new: NewUser) -> UserAccess:
        """Add a user. The answer is the only place where the password is shown."""
        return await admitted(await users.add(new.name, new.password, **new.fields()))

    @router.patch("", responses=responses(404))
    async def change_users(bulk: BulkChanges) -> Changed:
        """Change many users: all that are meant, or none."""
        changed = await users.edit_all(bulk.where.selection(), rehearse=bulk.dry_run, **bulk.changes.fields())
        return Changed(count=len(changed), names=[user.name for user in changed])

    @router.get("/{name}", responses=responses(404), response_model_exclude_none=True)
    async def show_user(name: Name) -> UserView:
        """Show a user."""
        return await view(await users.get(name))

    @router.patch("/{name}", responses=responses(404, 409), response_model_exclude_none=True)
    async def change_user(name: Name, changes: UserChanges) -> UserView:
        """Change a user. Disabling or renaming a user closes the user's connections."""
        return await view(await users.edit(name, new_name=changes.name, **changes.fields()))

    @router.delete("/{name}", status_code=204, responses=responses(404))
    async def remove_user(name: Name) -> Response:
        """Remove a user, and close the user's connections."""
        await users.remove(name)
        return Response(status_code=204)

    @router.post("/{name}/password", responses=responses(404), response_model_exclude_none=True)
    async def set_password(name: Name, new: NewPassword) -> UserAccess:
        """Give a user another password. Open connections go on."""
        return await admitted(await users.set_password(name, new.password))

    async def view(user: User) -> UserView:
        [effective] = await groups.limits_of([user])
        return UserView.of(user, effective)

    async def admitted(admission: Admission) -> UserAccess:
        [effective] = await groups.limits_of([admission.user])
        return UserAccess.of(admission, effective, await access.links(admission.user, password=admission.password))

    return router
