"""Users by the thousand: in from rows, all of them or none, and out as rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from vpn.domain.errors import Conflict, Invalid, Unavailable
from vpn.domain.password import hash_password
from vpn.domain.roster import OnConflict, Problems, Row, read_rows, write_row
from vpn.domain.user import ALL_USERS, Selection, User, canonical, make_credential, make_password
from vpn.domain.user_changes import change_user
from vpn.services.snapshots import Snapshots
from vpn.services.users import new_user
from vpn.store.groups import GroupStore
from vpn.store.users import UserStore

HASHING_TIME = 300.0  # seconds: what 10,000 passwords take on two cores of some years ago
_THREADS = 2  # that hash at a time, so that clients who log in meanwhile are not kept waiting


class Imported(NamedTuple):
    """What became of the rows, by name of the user."""

    added: list[str]
    updated: list[str]
    skipped: list[str]
    passwords: dict[str, str]
    """Those that were made, for new users whose rows have none. They are known only now."""


class RosterService:
    """Users in bulk.

    Args:
        clock: the present moment, with a time zone.
    """

    def __init__(
        self, users: UserStore, groups: GroupStore, snapshots: Snapshots, clock: Callable[[], datetime]
    ) -> None:
        self._users = users
        self._groups = groups
        self._snapshots = snapshots
        self._clock = clock
        self._hashing = asyncio.Semaphore(_THREADS)

    async def export_users(self, where: Selection = ALL_USERS, *, with_hashes: bool = False) -> list[dict[str, Any]]:
        """Rows of the users meant, by name, that can be imported again."""
        return [write_row(user, with_hash=with_hashes) for user in await self._users.find(where)]

    async def import_users(
        self, rows: Sequence[Any], *, on_conflict: OnConflict = "fail", rehearse: bool = False
    ) -> Imported:
        """Add the users of all rows, or of none.

        Args:
            on_conflict: what becomes of rows whose name a user bears already.
            rehearse: find out what would be, and change nothing; no passwords are made.

        Raises:
            Invalid: rows are wrong; the message names up to 100 of them.
            Conflict: names are taken, and the message names up to 100 of them; or users came or went meanwhile.
            Unavailable: there are more passwords than can be hashed in time.
        """
        now = self._clock()
        groups = {canonical(group.name) for group in await self._groups.all()}
        merge = _Merge(await asyncio.to_thread(read_rows, rows, groups, now), on_conflict, now)
        # All is tried before the costly part, and done behind it.
        await self._users.rewrite(merge.meant, merge, rehearse=True)
        made: dict[str, str] = {}
        if not rehearse:
            unsaid = (row.name for row in merge.new if row.password is None and row.password_hash is None)
            made = {name: make_password() for name in unsaid}
            given = {row.name: row.password for row in merge.new + merge.updates if row.password is not None}
            merge.hashes = await self._hash(given | made)
            await self._users.rewrite(merge.meant, merge)
            await self._snapshots.publish()
        added, updated, skipped = ([row.name for row in rows] for rows in (merge.new, merge.updates, merge.skipped))
        return Imported(added, updated, skipped, made)

    async def _hash(self, passwords: Mapping[str, str]) -> dict[str, str]:
        async def hash_one(password: str) -> str:
            async with self._hashing:
                return await asyncio.to_thread(hash_password, password)

        try:
            async with asyncio.timeout(HASHING_TIME):
                hashes = await asyncio.gather(*(hash_one(password) for password in passwords.values()))
        except TimeoutError:
            raise Unavailable(
                "too_many_passwords",
                f"{len(passwords)} passwords could not be hashed within {HASHING_TIME:.0f} seconds",
                "import fewer at a time, or hashes of them as password_hash",
            ) from None
        return dict(zip(passwords, hashes, strict=True))


class _Merge:
    """What becomes of the users in the store, given those that rows speak of; it may be asked again."""

    def __init__(self, rows: Sequence[Row], on_conflict: OnConflict, now: datetime) -> None:
        self.meant = Selection(names=tuple(row.name for row in rows))
        self.hashes: Mapping[str, str] | None = None
        """By name; None: it is a rehearsal, and needs none."""
        self.new: list[Row] = []
        self.updates: list[Row] = []
        self.skipped: list[Row] = []
        self._rows = rows
        self._on_conflict = on_conflict
        self._now = now

    def __call__(self, found: list[User]) -> list[User]:
        """The users to store."""
        self.new, self.updates, self.skipped = [], [], []
        known = {canonical(user.name): user for user in found}
        problems = Problems()
        made: list[User] = []
        for row in self._rows:
            user = known.get(canonical(row.name))
            try:
                if user is None:
                    made.append(self._filled(new_user(row.name, self._now), row))
                    self.new.append(row)
                elif self._on_conflict == "update":
                    made.append(self._filled(user, row))
                    self.updates.append(row)
                elif self._on_conflict == "skip":
                    self.skipped.append(row)
                else:
                    raise Conflict("user_exists", f"there is a user {user.name} already", "leave the row out")
            except (Invalid, Conflict) as error:
                problems.add(row.row, error)
                if problems.enough:
                    break
        problems.finish()
        return made

    def _filled(self, user: User, row: Row) -> User:
        user = change_user(user, row.fields(), self._now)
        if row.first_used_at is not None:
            user = replace(user, first_used_at=row.first_used_at)
        password_hash = row.password_hash or (self.hashes or {}).get(row.name) or user.password_hash
        if not password_hash and self.hashes is not None:
            raise Conflict("user_gone", f"the user {row.name} was removed meanwhile", "import all again")
        if password_hash == user.password_hash:
            return user
        return replace(user, password_hash=password_hash, credential=make_credential())
