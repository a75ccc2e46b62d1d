"""The groups in the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.errors import Conflict, NotFound
from vpn.domain.group import EVERYONE, Group
from vpn.domain.user import canonical
from vpn.store.database import Database
from vpn.store.tables import groups, memberships, users

_COLUMNS = [column for column in groups.c if column.name not in ("id", "canonical_name")]
_MEMBERS = select(func.count()).where(memberships.c.group_id == groups.c.id).correlate(groups).scalar_subquery()
_USERS = select(func.count()).select_from(users).correlate(None).scalar_subquery()


class Counted(NamedTuple):
    """A group, and how many users are in it."""

    group: Group
    members: int


class GroupStore:
    """Reads and writes groups; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, group: Group) -> None:
        """Store a new group.

        Raises:
            Conflict: the name is taken.
        """
        try:
            async with self._database.begin_writing() as connection:
                await connection.execute(insert(groups).values(_values(group)))
        except IntegrityError:
            raise _taken(group.name) from None

    async def get(self, name: str) -> Counted:
        """The group of this name.

        Raises:
            NotFound: none bears it.
        """
        async with self._database.begin() as connection:
            return await _read(connection, name)

    async def page(self, *, offset: int, limit: int, search: str = "") -> tuple[list[Counted], int]:
        """Groups by name, and how many there are in all; `search` keeps those whose name or note has it."""
        if "\0" in search:
            return [], 0  # which PostgreSQL refuses, and nothing contains
        condition = _matches(search)
        async with self._database.begin() as connection:
            total = (await connection.execute(select(func.count()).select_from(groups).where(condition))).scalar_one()
            wanted = _counted().where(condition).order_by(groups.c.canonical_name).offset(offset).limit(limit)
            return [_group(row) for row in await connection.execute(wanted)], total

    async def all(self) -> list[Group]:
        """Every group, in no order."""
        async with self._database.begin() as connection:
            return [Group(**row) for row in (await connection.execute(select(*_COLUMNS))).mappings()]

    async def change(self, name: str, alter: Callable[[Group], Group]) -> Counted:
        """Store what `alter` makes of a group, and return it.

        Raises:
            NotFound: none bears the name.
            Conflict: the new name is taken.
            What `alter` raises; nothing has changed then.
        """
        new_name = name
        try:
            async with self._database.begin_writing() as connection:
                before = await _read(connection, name, lock=True)
                made = alter(before.group)
                new_name = made.name
                await connection.execute(update(groups).where(_bears(name)).values(_values(made)))
                return await _read(connection, new_name)
        except IntegrityError:
            raise _taken(new_name) from None

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a group; its members stay, without it.

        Raises:
            NotFound: none bears the name.
            Conflict: users are in it, and `force` was not said.
        """
        async with self._database.begin_writing() as connection:
            group, members = await _read(connection, name, lock=True)
            if members and not force:
                raise Conflict(
                    "group_not_empty",
                    f"{members} {'user is' if members == 1 else 'users are'} in the group {group.name}",
                    f"take them out, or remove it all the same with: vpn groups remove {group.name} --force",
                )
            await connection.execute(delete(groups).where(_bears(name)))


def _counted() -> Any:
    """Groups with the number of their members; all users are in the group `EVERYONE`."""
    members = func.coalesce(_MEMBERS, 0)
    return select(*_COLUMNS, members.label("members"), _USERS.label("everyone"))


async def _read(connection: AsyncConnection, name: str, *, lock: bool = False) -> Counted:
    if "\0" in name:
        raise _unknown(name)  # which PostgreSQL refuses, and none bears
    wanted = _counted().where(_bears(name))
    row = (await connection.execute(wanted.with_for_update(of=groups) if lock else wanted)).first()
    if row is None:
        raise _unknown(name)
    return _group(row)


def _group(row: Row[Any]) -> Counted:
    fields = dict(row._mapping)
    members, everyone = fields.pop("members"), fields.pop("everyone")
    group = Group(**fields)
    return Counted(group, everyone if canonical(group.name) == EVERYONE else members)


def _values(group: Group) -> dict[str, Any]:
    return {"canonical_name": canonical(group.name)} | {column.name: getattr(group, column.name) for column in _COLUMNS}


def _bears(name: str) -> Any:
    return groups.c.canonical_name == canonical(name)


def _matches(search: str) -> Any:
    if not search:
        return true()
    return or_(
        groups.c.canonical_name.contains(canonical(search), autoescape=True),
        func.lower(groups.c.note).contains(search.lower(), autoescape=True),
    )


def _unknown(name: str) -> NotFound:
    return NotFound("group_unknown", f"there is no group {name}", "list them with: vpn groups list")


def _taken(name: str) -> Conflict:
    hint = f"choose another name, or change that group with: vpn groups edit {name}"
    return Conflict("group_exists", f"there is a group {name} already", hint)
