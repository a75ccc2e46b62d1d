"""Users as rows: read and written within a transaction of somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import bindparam, delete, false, func, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.errors import Invalid
from vpn.domain.group import EVERYONE
from vpn.domain.user import Selection, User, canonical
from vpn.store.tables import groups, memberships, users

# As the fields of `User` that are kept in one column each.
_COLUMNS = [column for column in users.c if column.name not in ("id", "canonical_name")]
_CHUNK = 1000  # users whose groups are asked for at a time: databases bound the values of one question


async def read_users(
    connection: AsyncConnection,
    condition: Any,
    *,
    offset: int | None = None,
    limit: int | None = None,
    lock: bool = False,
) -> list[User]:
    """Users of whom the condition is true, by name; with `lock`, nobody else changes them meanwhile."""
    wanted = select(users.c.id, *_COLUMNS).where(condition).order_by(users.c.canonical_name)
    wanted = wanted.offset(offset).limit(limit)
    rows = (await connection.execute(wanted.with_for_update() if lock else wanted)).all()
    numbers = [row[0] for row in rows]
    groups_of: dict[int, tuple[str, ...]] = {}
    for start in range(0, len(numbers), _CHUNK):
        groups_of |= await groups_by_user(connection, memberships.c.user_id.in_(numbers[start : start + _CHUNK]))
    return _users(rows, groups_of)


async def groups_by_user(connection: AsyncConnection, condition: Any = None) -> dict[int, tuple[str, ...]]:
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


async def write_users(connection: AsyncConnection, before: Iterable[User], made: Sequence[User]) -> list[User]:
    """Store users, and return them with their numbers and the names of groups as the groups bear them.

    Args:
        before: as users are stored now; who is the same in `made` is not written.
        made: users to store; those whose number is 0 are new.

    Raises:
        Invalid: there is no such group.
        IntegrityError: a name is taken.
    """
    known = await known_groups(connection, {canonical(name) for user in made for name in user.groups})
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


async def known_groups(connection: AsyncConnection, wanted: set[str]) -> dict[str, tuple[int, str]]:
    """Number and name of groups, by the form under which names are compared.

    Raises:
        Invalid: one of them is not there.
    """
    if not wanted:
        return {}
    if any("\0" in name for name in wanted):
        raise _unknown_groups(sorted(wanted))  # which PostgreSQL would refuse
    rows = await connection.execute(
        select(groups.c.id, groups.c.name).where(groups.c.canonical_name.in_(wanted)).with_for_update(read=True)
    )
    known = {canonical(name): (number, name) for number, name in rows}
    missing = sorted(wanted - set(known))
    if missing:
        raise _unknown_groups(missing)
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


def meant(where: Selection) -> Any:
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


def _unknown_groups(names: Sequence[str]) -> Invalid:
    return Invalid(
        "group_unknown", f"there is no group {', '.join(names[:10])}", f"add it with: vpn groups add {names[0]}"
    )
