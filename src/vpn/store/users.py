"""The users in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import bindparam, delete, false, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.domain.group import EVERYONE
from vpn.domain.limits import Limits
from vpn.domain.user import ALL_USERS, Selection, User, canonical
from vpn.store.database import Database
from vpn.store.tables import groups, memberships, users

# As the fields of `User` that are kept in one column each.
_COLUMNS = [column for column in users.c if column.name not in ("id", "canonical_name")]
_CHUNK = 1000  # users whose groups are asked for at a time: databases bound the values of one question


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
            found = await _read(connection, _meant(Selection(names=(name,))))
        if not found:
            raise _unknown(name)
        return found[0]

    async def page(self, *, offset: int, limit: int, where: Selection = ALL_USERS) -> tuple[list[User], int]:
        """Users by name, and how many are meant in all."""
        condition = _meant(where)
        async with self._database.begin() as connection:
            total = (await connection.execute(select(func.count()).select_from(users).where(condition))).scalar_one()
            return await _read(connection, condition, offset=offset, limit=limit), total

    async def find(self, where: Selection) -> list[User]:
        """All users meant, by name."""
        async with self._database.begin() as connection:
            return await _read(connection, _meant(where))

    async def all(self) -> list[Outline]:
        """What the data plane needs to know of every user, in no order."""
        async with self._database.begin() as connection:
            rows = (await connection.execute(select(*_OUTLINE))).all()
            groups_of = await _groups_of(connection)
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
                    await _known_groups(connection, {canonical(where.group)})
                before = await _read(connection, _meant(where), lock=True)
                made = list(alter(before))
                stored = await _write(connection, before, made)
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
        async with self._database.begin() as connection:
            removed = await connection.execute(delete(users).where(_meant(Selection(names=(name,)))))
        if not removed.rowcount:
            raise _unknown(name)

    async def note_first_uses(self, moments: Mapping[int, datetime]) -> None:
        """Write down when users, by number, were first let in; for whom that is known, it stays."""
        if not moments:
            return
        first = update(users).where(users.c.id == bindparam("number"), users.c.first_used_at.is_(None))
        async with self._database.begin() as connection:
            await connection.execute(
                first.values(first_used_at=bindparam("moment")),
                [{"number": number, "moment": moment} for number, moment in moments.items()],
            )


class _Rehearsed(Exception):
    """Ends a transaction that is not meant to be kept."""

    def __init__(self, stored: list[User]) -> None:
        super().__init__()
        self.stored = stored


async def _read(
    connection: AsyncConnection,
    condition: Any,
    *,
    offset: int | None = None,
    limit: int | None = None,
    lock: bool = False,
) -> list[User]:
    wanted = select(users.c.id, *_COLUMNS).where(condition).order_by(users.c.canonical_name)
    wanted = wanted.offset(offset).limit(limit)
    rows = (await connection.execute(wanted.with_for_update() if lock else wanted)).all()
    numbers = [row[0] for row in rows]
    groups_of: dict[int, tuple[str, ...]] = {}
    for start in range(0, len(numbers), _CHUNK):
        groups_of |= await _groups_of(connection, memberships.c.user_id.in_(numbers[start : start + _CHUNK]))
    return _users(rows, groups_of)


async def _groups_of(connection: AsyncConnection, condition: Any = None) -> dict[int, tuple[str, ...]]:
    """Names of groups by the number of the user, the nearest first."""
    wanted = select(memberships.c.user_id, groups.c.name).join_from(memberships, groups)
    wanted = wanted if condition is None else wanted.where(condition)
    found: dict[int, tuple[str, ...]] = {}
    for number, name in await connection.execute(wanted.order_by(memberships.c.user_id, memberships.c.place)):
        found[number] = (*found.get(number, ()), name)
    return found


def _users(rows: Iterable[Sequence[Any]], groups_of: Mapping[int, tuple[str, ...]]) -> list[User]:
    names = [column.name for column in _COLUMNS]
    return [
        User(number=row[0], groups=groups_of.get(row[0], ()), **dict(zip(names, row[1:], strict=True))) for row in rows
    ]


async def _write(connection: AsyncConnection, before: Iterable[User], made: Sequence[User]) -> list[User]:
    known = await _known_groups(connection, {canonical(name) for user in made for name in user.groups})
    named = [replace(user, groups=tuple(known[canonical(name)][1] for name in user.groups)) for user in made]
    new = [user for user in named if not user.number]
    stored = named
    if new:
        await connection.execute(insert(users), [_values(user) for user in new])
        numbers = await _numbers(connection, [user.name for user in new])
        stored = [user if user.number else replace(user, number=numbers[canonical(user.name)]) for user in named]
    as_before = {user.number: user for user in before}
    changed = [user for user in named if user.number and user != as_before.get(user.number)]
    if changed:
        await connection.execute(
            update(users).where(users.c.id == bindparam("number")),
            [{"number": user.number} | _values(user) for user in changed],
        )
    moved = [
        user for user in stored if user.groups != (as_before[user.number].groups if user.number in as_before else ())
    ]
    await _write_memberships(connection, moved, known)
    return stored


async def _write_memberships(
    connection: AsyncConnection, moved: Sequence[User], known: Mapping[str, tuple[int, str]]
) -> None:
    if not moved:
        return
    gone = delete(memberships).where(memberships.c.user_id == bindparam("number"))
    await connection.execute(gone, [{"number": user.number} for user in moved])
    rows = [
        {"user_id": user.number, "group_id": known[canonical(name)][0], "place": place}
        for user in moved
        for place, name in enumerate(user.groups)
    ]
    if rows:
        await connection.execute(insert(memberships), rows)


async def _known_groups(connection: AsyncConnection, wanted: set[str]) -> dict[str, tuple[int, str]]:
    """Number and name of groups, by the form under which names are compared."""
    if not wanted:
        return {}
    if any("\0" in name for name in wanted):
        raise unknown_groups(sorted(wanted))  # which PostgreSQL would refuse
    rows = await connection.execute(
        select(groups.c.id, groups.c.name).where(groups.c.canonical_name.in_(wanted)).with_for_update(read=True)
    )
    known = {canonical(name): (number, name) for number, name in rows}
    missing = sorted(wanted - set(known))
    if missing:
        raise unknown_groups(missing)
    return known


async def _numbers(connection: AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), _CHUNK):
        compared = [canonical(name) for name in names[start : start + _CHUNK]]
        rows = await connection.execute(
            select(users.c.canonical_name, users.c.id).where(users.c.canonical_name.in_(compared))
        )
        found |= {row.canonical_name: row.id for row in rows}
    return found


def _values(user: User) -> dict[str, Any]:
    return {"canonical_name": canonical(user.name)} | {column.name: getattr(user, column.name) for column in _COLUMNS}


def _meant(where: Selection) -> Any:
    """The condition that a selection is."""
    if "\0" in where.search + where.group:
        return false()  # which PostgreSQL refuses, and nothing contains
    condition = true() if where.enabled is None else users.c.enabled == where.enabled
    if where.search:
        condition &= or_(
            users.c.canonical_name.contains(canonical(where.search), autoescape=True),
            func.lower(users.c.note).contains(where.search.lower(), autoescape=True),
        )
    if where.group and canonical(where.group) != EVERYONE:
        members = select(memberships.c.user_id).join_from(memberships, groups)
        condition &= users.c.id.in_(members.where(groups.c.canonical_name == canonical(where.group)))
    if where.names is not None:
        condition &= users.c.canonical_name.in_([canonical(name) for name in where.names if "\0" not in name])
    return condition


def unknown_groups(names: Sequence[str]) -> Invalid:
    """That a user shall be in groups that are not there."""
    return Invalid(
        "group_unknown", f"there is no group {', '.join(names[:10])}", f"add it with: vpn groups add {names[0]}"
    )


def _unknown(name: str) -> NotFound:
    return NotFound("user_unknown", f"there is no user {name}", "list them with: vpn users list")


def _taken(names: Sequence[str]) -> Conflict:
    if len(names) > 1:
        return Conflict("user_exists", "one of these users was added by somebody else meanwhile", "try again")
    hint = f"choose another name, or change that user with: vpn users edit {names[0]}"
    return Conflict("user_exists", f"there is a user {names[0]} already", hint)
