"""The users in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from vpn.domain.errors import Conflict, NotFound
from vpn.domain.group import EVERYONE
from vpn.domain.limits import Limits
from vpn.domain.user import ALL_USERS, Selection, User, canonical
from vpn.store.database import Database
from vpn.store.sealed import owner_of
from vpn.store.tables import secrets, users
from vpn.store.user_rows import groups_by_user, known_groups, meant, read_users, write_users


class Outline(NamedTuple):
    """A user without what is only looked at; the fields are those of `User`."""

    number: int
    name: str
    credential: int
    enabled: bool
    limits: Limits
    first_used_at: datetime | None
    groups: tuple[str, ...]


_OUTLINE = [users.c.id, *(users.c[name] for name in Outline._fields[1:-1])]


class UserStore:
    """Reads and writes users; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: User) -> User:
        """Store a new user, and return it with its number.

        Raises:
            Conflict: the name is taken.
            Invalid: there is no such group.
        """
        [stored] = await self.rewrite(Selection(names=()), lambda _: [user])
        return stored

    async def get(self, name: str) -> User:
        """The user of this name.

        Raises:
            NotFound: nobody bears it.
        """
        async with self._database.begin() as connection:
            found = await read_users(connection, meant(Selection(names=(name,))))
        if not found:
            raise _unknown(name)
        return found[0]

    async def numbered(self, number: int) -> User | None:
        """The user of this number, or None."""
        async with self._database.begin() as connection:
            found = await read_users(connection, users.c.id == number)
        return found[0] if found else None

    async def page(self, *, offset: int, limit: int, where: Selection = ALL_USERS) -> tuple[list[User], int]:
        """Users by name, and how many are meant in all."""
        condition = meant(where)
        async with self._database.begin() as connection:
            total = (await connection.execute(select(func.count()).select_from(users).where(condition))).scalar_one()
            return await read_users(connection, condition, offset=offset, limit=limit), total

    async def find(self, where: Selection) -> list[User]:
        """All users meant, by name."""
        async with self._database.begin() as connection:
            return await read_users(connection, meant(where))

    async def all(self) -> list[Outline]:
        """What the data plane needs to know of every user, in no order."""
        async with self._database.begin() as connection:
            rows = (await connection.execute(select(*_OUTLINE))).all()
            groups_of = await groups_by_user(connection)
        return [Outline._make((*row, groups_of.get(row[0], ()))) for row in rows]

    async def change(self, name: str, alter: Callable[[User], User]) -> User:
        """Store what `alter` makes of a user, and return it.

        Raises:
            NotFound: nobody bears the name.
            Conflict: the new name is taken.
            Invalid: there is no such group.
            What `alter` raises; nothing has changed then.
        """

        def of_one(found: list[User]) -> list[User]:
            if not found:
                raise _unknown(name)
            return [alter(found[0])]

        [stored] = await self.rewrite(Selection(names=(name,)), of_one)
        return stored

    async def rewrite(
        self, where: Selection, alter: Callable[[list[User]], Iterable[User]], *, rehearse: bool = False
    ) -> list[User]:
        """Store what `alter` makes of the users meant, by name, and return that: all of it, or nothing.

        Users whose number is 0 are new; who is left out of what `alter` returns stays as before.

        Args:
            rehearse: do it, and take it back: what would go wrong does, and the rest is returned.

        Raises:
            Conflict: a name is taken.
            Invalid: there is no such group.
            What `alter` raises.
        """
        made: list[User] = []
        try:
            async with self._database.begin_writing() as connection:
                if where.group and canonical(where.group) != EVERYONE:
                    await known_groups(connection, {canonical(where.group)})
                before = await read_users(connection, meant(where), lock=True)
                made = list(alter(before))
                stored = await write_users(connection, before, made)
                if rehearse:
                    raise _Rehearsed(stored)
                return stored
        except _Rehearsed as rehearsed:
            return rehearsed.stored
        except IntegrityError:
            raise _taken([user.name for user in made]) from None

    async def remove(self, name: str) -> None:
        """Remove a user.

        Raises:
            NotFound: nobody bears the name.
        """
        async with self._database.begin_writing() as connection:
            number = select(users.c.id).where(meant(Selection(names=(name,)))).with_for_update()
            owner = owner_of((await connection.execute(number)).scalar())
            removed = await connection.execute(delete(users).where(meant(Selection(names=(name,)))))
            await connection.execute(delete(secrets).where(secrets.c.owner == owner))
        if not removed.rowcount:
            raise _unknown(name)

    async def note_first_uses(self, moments: Mapping[int, datetime]) -> None:
        """Write down when users, by number, were first let in; for whom that is known, it stays."""
        if not moments:
            return
        first = update(users).where(users.c.id == bindparam("number"), users.c.first_used_at.is_(None))
        async with self._database.begin_writing() as connection:
            await connection.execute(
                first.values(first_used_at=bindparam("moment")),
                [{"number": number, "moment": moment} for number, moment in moments.items()],
            )


class _Rehearsed(Exception):
    """Ends a transaction that is not meant to be kept."""

    def __init__(self, stored: list[User]) -> None:
        super().__init__()
        self.stored = stored


def _unknown(name: str) -> NotFound:
    return NotFound("user_unknown", f"there is no user {name}", "list them with: vpn users list")


def _taken(names: Sequence[str]) -> Conflict:
    if len(names) > 1:
        return Conflict("user_exists", "one of these users was added by somebody else meanwhile", "try again")
    hint = f"choose another name, or change that user with: vpn users edit {names[0]}"
    return Conflict("user_exists", f"there is a user {names[0]} already", hint)
