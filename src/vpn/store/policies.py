"""All versions of the policy in the database."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from vpn.domain.errors import Conflict, NotFound
from vpn.domain.policy import ALLOW_ALL, Policy
from vpn.store.database import Database
from vpn.store.tables import policies


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """A version without its rules."""

    number: int
    """Counted from 1; 0: none was ever made."""
    created_at: datetime
    author: str
    comment: str
    digest: str
    """SHA-256 of the policy, by which equal ones are told."""


class Version(Outline, frozen=True, kw_only=True):
    """A version of the policy."""

    policy: Policy


NOTHING_SAID = Version(
    number=0, created_at=datetime.fromtimestamp(0, UTC), author="", comment="", digest="", policy=ALLOW_ALL
)
"""What holds until somebody says something else."""

_OUTLINE = [policies.c[name] for name in Outline.__struct_fields__]


class PolicyStore:
    """Reads and adds versions; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> Version:
        """The version that holds."""
        async with self._database.begin() as connection:
            found = await connection.execute(select(policies).order_by(policies.c.number.desc()).limit(1))
            row = found.mappings().first()
        return NOTHING_SAID if row is None else Version(**row)

    async def get(self, number: int) -> Version:
        """The version of this number.

        Raises:
            NotFound: there is none.
        """
        if number == 0:
            return NOTHING_SAID
        async with self._database.begin() as connection:
            row = (await connection.execute(select(policies).where(policies.c.number == number))).mappings().first()
        if row is None:
            raise NotFound("version_unknown", f"there is no version {number}", "list them with: vpn policy history")
        return Version(**row)

    async def page(self, *, offset: int, limit: int) -> tuple[list[Outline], int]:
        """Versions, the newest first, and how many there are in all."""
        newest_first = select(*_OUTLINE).order_by(policies.c.number.desc()).offset(offset).limit(limit)
        async with self._database.begin() as connection:
            total = (await connection.execute(select(func.count()).select_from(policies))).scalar_one()
            return [Outline(**row) for row in (await connection.execute(newest_first)).mappings()], total

    async def add(self, after: int, policy: Policy, *, author: str, comment: str, now: datetime) -> Version:
        """Store a version that follows the one of the number `after`.

        Raises:
            Conflict: another one has come meanwhile.
        """
        made = Version(
            number=after + 1, created_at=now, author=author, comment=comment, digest=digest_of(policy), policy=policy
        )
        try:
            async with self._database.begin_writing() as connection:
                await connection.execute(insert(policies).values(msgspec.structs.asdict(made)))
        except IntegrityError:
            raise changed_meanwhile(after) from None
        return made


def digest_of(policy: Policy) -> str:
    """What equal policies have in common, and others have not."""
    return hashlib.sha256(msgspec.json.encode(policy)).hexdigest()


def changed_meanwhile(expected: int) -> Conflict:
    """Somebody else was faster."""
    return Conflict(
        "policy_changed",
        f"the policy is not at version {expected} any more",
        "look at it with: vpn policy show, and apply your change to that",
    )
