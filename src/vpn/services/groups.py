"""Adding, changing and removing groups, and what users inherit from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Unpack

from msgspec.structs import replace

from vpn.domain.errors import Invalid
from vpn.domain.group import EVERYONE, Group, Inheritance, check_group_name
from vpn.domain.limits import Limits
from vpn.domain.user import User, canonical
from vpn.domain.user_changes import GroupFields, change_group
from vpn.services.snapshots import Snapshots
from vpn.store.groups import Counted, GroupStore


class GroupService:
    """Groups. Every change is in force in the data plane when its method returns.

    Args:
        clock: the present moment, with a time zone.
    """

    def __init__(self, store: GroupStore, snapshots: Snapshots, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._snapshots = snapshots
        self._clock = clock

    async def add(self, name: str, **fields: Unpack[GroupFields]) -> Counted:
        """Add a group. The group ``everyone``, once it is there, has all users in it.

        Raises:
            Invalid: a value is not allowed.
            Conflict: the name is taken.
        """
        now = self._clock()
        group = change_group(Group(name=check_group_name(name), created_at=now, updated_at=now), fields, now)
        await self._store.add(group)
        await self._snapshots.publish()
        return await self._store.get(name)

    async def get(self, name: str) -> Counted:
        """The group of this name, with the number of its members.

        Raises:
            NotFound: none bears it.
        """
        return await self._store.get(name)

    async def page(self, *, page: int, page_size: int, search: str = "") -> tuple[list[Counted], int]:
        """One page of groups by name, counted from 1, and how many groups there are in all."""
        return await self._store.page(offset=(page - 1) * page_size, limit=page_size, search=search)

    async def edit(self, name: str, *, new_name: str | None = None, **changes: Unpack[GroupFields]) -> Counted:
        """Change what is named.

        Raises:
            Invalid: a value is not allowed, or the group would become ``everyone``, in which users are unasked.
            NotFound: none bears the name.
            Conflict: the new name is taken.
        """
        now = self._clock()
        if new_name is not None and canonical(new_name) == EVERYONE != canonical(name):
            raise Invalid("bad_name", f"no group can become {EVERYONE}", f"add it with: vpn groups add {EVERYONE}")
        called = {} if new_name is None else {"name": check_group_name(new_name)}
        counted = await self._store.change(name, lambda group: replace(change_group(group, changes, now), **called))
        await self._snapshots.publish()
        return counted

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a group.

        Args:
            force: also if users are in it, who go on without it.

        Raises:
            NotFound: none bears the name.
            Conflict: users are in it.
        """
        await self._store.remove(name, force=force)
        await self._snapshots.publish()

    async def limits_of(self, users: Iterable[User]) -> list[Limits]:
        """The limits that hold for each: the user's own, then those of the user's groups, then everyone's."""
        inheritance = Inheritance(await self._store.all())
        return [inheritance.limits(user.limits, user.groups) for user in users]
