"""The users in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from vpn.domain.errors import Conflict, NotFound
from vpn.domain.user import User, canonical
from vpn.store.database import Database
from vpn.store.tables import users

_COLUMNS = [column for column in users.c if column.name not in ("id", "canonical_name")]


class UserStore:
    """Reads and writes users; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: User) -> None:
        """Store a new user.

        Raises:
            Conflict: the name is taken.
        """
        values = {column.name: getattr(user, column.name) for column in _COLUMNS}
        try:
            async with self._database.begin() as connection:
                await connection.execute(insert(users).values(canonical_name=canonical(user.name), **values))
        except IntegrityError:
            raise _taken(user.name) from None

    async def get(self, name: str) -> User:
        """The user of this name.

        Raises:
            NotFound: nobody bears it.
        """
        async with self._database.begin() as connection:
            row = (await connection.execute(select(*_COLUMNS).where(_bears(name)))).mappings().first()
        if row is None:
            raise _unknown(name)
        return _user(row)

    async def page(self, *, offset: int, limit: int, search: str = "") -> tuple[list[User], int]:
        """Users by name, and how many there are in all; `search` keeps those whose name or note has it."""
        if "\0" in search:
            return [], 0  # which PostgreSQL refuses, and nothing contains
        condition = _matches(search)
        async with self._database.begin() as connection:
            total = (await connection.execute(select(func.count()).select_from(users).where(condition))).scalar_one()
            rows = await connection.execute(
                select(*_COLUMNS).where(condition).order_by(users.c.canonical_name).offset(offset).limit(limit)
            )
            return [_user(row) for row in rows.mappings()], total

    async def change(self, name: str, changes: dict[str, Any]) -> User:
        """Set fields of a user, and return the user as it is then.

        Raises:
            NotFound: nobody bears the name.
            Conflict: the new name is taken.
        """
        new_name = changes.get("name", name)
        if "name" in changes:
            changes = changes | {"canonical_name": canonical(new_name)}
        try:
            async with self._database.begin() as connection:
                changed = await connection.execute(update(users).where(_bears(name)).values(**changes))
                if not changed.rowcount:
                    raise _unknown(name)
                row = (await connection.execute(select(*_COLUMNS).where(_bears(new_name)))).mappings().one()
        except IntegrityError:
            raise _taken(new_name) from None
        return _user(row)

    async def remove(self, name: str) -> None:
        """Remove a user.

        Raises:
            NotFound: nobody bears the name.
        """
        async with self._database.begin() as connection:
            removed = await connection.execute(delete(users).where(_bears(name)))
        if not removed.rowcount:
            raise _unknown(name)

    async def credentials(self) -> Sequence[tuple[str, int, bool]]:
        """Name, credential number and whether enabled, of every user: what the data plane needs to know."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(users.c.name, users.c.credential, users.c.enabled))
            return [(name, credential, enabled) for name, credential, enabled in rows]


def _bears(name: str) -> Any:
    if "\0" in name:
        raise _unknown(name)  # which PostgreSQL refuses, and nobody bears
    return users.c.canonical_name == canonical(name)


def _matches(search: str) -> Any:
    if not search:
        return users.c.id.is_not(None)
    return or_(
        users.c.canonical_name.contains(canonical(search), autoescape=True),
        func.lower(users.c.note).contains(search.lower(), autoescape=True),
    )


def _user(row: RowMapping) -> User:
    return User(**row)


def _unknown(name: str) -> NotFound:
    return NotFound("user_unknown", f"there is no user {name}", "list them with: vpn users list")


def _taken(name: str) -> Conflict:
    hint = f"choose another name, or change that user with: vpn users edit {name}"
    return Conflict("user_exists", f"there is a user {name} already", hint)
