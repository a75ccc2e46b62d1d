"""Adding, changing and removing users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Unpack

from msgspec.structs import replace

from vpn.domain.errors import Invalid, NotFound
from vpn.domain.password import hash_password
from vpn.domain.user import (
    ALL_USERS,
    Selection,
    User,
    canonical,
    check_name,
    check_password,
    make_credential,
    make_password,
)
from vpn.domain.user_changes import UserFields, change_user
from vpn.services.snapshots import Snapshots
from vpn.store.users import UserStore


class Admission(NamedTuple):
    """A user and the password in clear, which is known only while it is being set."""

    user: User
    password: str


class UserService:
    """Users. Every change is in force in the data plane when its method returns.

    Args:
        clock: the present moment, with a time zone.
    """

    def __init__(self, store: UserStore, snapshots: Snapshots, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._snapshots = snapshots
        self._clock = clock

    async def add(self, name: str, password: str | None = None, **fields: Unpack[UserFields]) -> Admission:
        """Add a user; without a password, one is made.

        Raises:
            Invalid: a value is not allowed, or there is no such group.
            Conflict: the name is taken.
        """
        now = self._clock()
        user = change_user(new_user(check_name(name), now), fields, now)
        password = make_password() if password is None else check_password(password)
        password_hash = await asyncio.to_thread(hash_password, password)
        user = await self._store.add(replace(user, password_hash=password_hash))
        await self._snapshots.publish()
        return Admission(user, password)

    async def get(self, name: str) -> User:
        """The user of this name.

        Raises:
            NotFound: nobody bears it.
        """
        return await self._store.get(name)

    async def page(self, *, page: int, page_size: int, where: Selection = ALL_USERS) -> tuple[list[User], int]:
        """One page of the users meant, by name, counted from 1, and how many they are in all."""
        return await self._store.page(offset=(page - 1) * page_size, limit=page_size, where=where)

    async def edit(self, name: str, *, new_name: str | None = None, **changes: Unpack[UserFields]) -> User:
        """Change what is named. Disabling or renaming a user closes the user's connections.

        Raises:
            Invalid: a value is not allowed, or there is no such group.
            NotFound: nobody bears the name.
            Conflict: the new name is taken.
        """
        now = self._clock()
        called = {} if new_name is None else {"name": check_name(new_name)}
        user = await self._store.change(name, lambda user: replace(change_user(user, changes, now), **called))
        await self._snapshots.publish()
        return user

    async def edit_all(self, where: Selection, *, rehearse: bool = False, **changes: Unpack[UserFields]) -> list[User]:
        """Change what is named of all users meant, or of none; return them as they are then.

        Args:
            where: must say something; the group ``everyone`` means all.
            rehearse: find out what would be, and change nothing.

        Raises:
            Invalid: nothing is said in `where`, a value is not allowed, or there is no such group.
            NotFound: nobody bears one of the names.
        """
        if where == ALL_USERS:
            raise Invalid("no_selection", "nothing says which users are meant", "for all, say the group everyone")
        now = self._clock()

        def alter(found: list[User]) -> list[User]:
            missing = set(map(canonical, where.names or ())) - {canonical(user.name) for user in found}
            if missing and where == Selection(names=where.names):
                raise NotFound(
                    "user_unknown", f"there is no user {', '.join(sorted(missing)[:10])}", "nobody was changed"
                )
            return [change_user(user, changes, now) for user in found]

        changed = await self._store.rewrite(where, alter, rehearse=rehearse)
        if changed and not rehearse:
            await self._snapshots.publish()
        return changed

    async def set_password(self, name: str, password: str | None = None) -> Admission:
        """Give a user another password; without one, it is made. Open connections go on.

        Raises:
            Invalid: the password is not allowed.
            NotFound: nobody bears the name.
        """
        password = make_password() if password is None else check_password(password)
        password_hash = await asyncio.to_thread(hash_password, password)
        now = self._clock()
        user = await self._store.change(
            name,
            lambda user: replace(user, password_hash=password_hash, credential=make_credential(), updated_at=now),
        )
        await self._snapshots.publish()
        return Admission(user, password)

    async def remove(self, name: str) -> None:
        """Remove a user, and close the user's connections.

        Raises:
            NotFound: nobody bears the name.
        """
        await self._store.remove(name)
        await self._snapshots.publish()


def new_user(name: str, now: datetime) -> User:
    """A user with nothing said yet, and no password."""
    return User(
        name=name,
        password_hash="",
        credential=make_credential(),
        enabled=True,
        note="",
        created_at=now,
        updated_at=now,
    )
