"""Adding, changing and removing users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from vpn.domain.password import hash_password
from vpn.domain.user import (
    User,
    check_name,
    check_note,
    check_password,
    make_credential,
    make_password,
)
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

    async def add(self, name: str, password: str | None = None, *, note: str = "", enabled: bool = True) -> Admission:
        """Add a user; without a password, one is made.

        Raises:
            Invalid: a value is not allowed.
            Conflict: the name is taken.
        """
        check_name(name)
        check_note(note)
        password = make_password() if password is None else check_password(password)
        now = self._clock()
        user = User(
            name=name,
            password_hash=await asyncio.to_thread(hash_password, password),
            credential=make_credential(),
            enabled=enabled,
            note=note,
            created_at=now,
            updated_at=now,
        )
        await self._store.add(user)
        await self._snapshots.publish()
        return Admission(user, password)

    async def get(self, name: str) -> User:
        """The user of this name.

        Raises:
            NotFound: nobody bears it.
        """
        return await self._store.get(name)

    async def page(self, *, page: int, page_size: int, search: str = "") -> tuple[list[User], int]:
        """One page of users by name, counted from 1, and how many users there are in all."""
        return await self._store.page(offset=(page - 1) * page_size, limit=page_size, search=search)

    async def edit(
        self, name: str, *, new_name: str | None = None, note: str | None = None, enabled: bool | None = None
    ) -> User:
        """Change what is not None. Disabling or renaming a user closes the user's connections.

        Raises:
            Invalid: a value is not allowed.
            NotFound: nobody bears the name.
            Conflict: the new name is taken.
        """
        changes: dict[str, Any] = {}
        if new_name is not None:
            changes["name"] = check_name(new_name)
        if note is not None:
            changes["note"] = check_note(note)
        if enabled is not None:
            changes["enabled"] = enabled
        return await self._change(name, changes)

    async def set_password(self, name: str, password: str | None = None) -> Admission:
        """Give a user another password; without one, it is made. Open connections go on.

        Raises:
            Invalid: the password is not allowed.
            NotFound: nobody bears the name.
        """
        password = make_password() if password is None else check_password(password)
        password_hash = await asyncio.to_thread(hash_password, password)
        changes = {"password_hash": password_hash, "credential": make_credential()}
        return Admission(await self._change(name, changes), password)

    async def remove(self, name: str) -> None:
        """Remove a user, and close the user's connections.

        Raises:
            NotFound: nobody bears the name.
        """
        await self._store.remove(name)
        await self._snapshots.publish()

    async def _change(self, name: str, changes: dict[str, Any]) -> User:
        user = await self._store.change(name, changes | {"updated_at": self._clock()})
        await self._snapshots.publish()
        return user
