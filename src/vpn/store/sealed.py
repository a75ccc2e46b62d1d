"""Secrets in the database, sealed: what protocols must know in clear of users and inbounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.errors import Conflict
from vpn.store.database import Database
from vpn.store.secrets import SecretBox
from vpn.store.tables import secrets

_AT_ONCE = 500  # owners in one question


def owner_of(number: int | None) -> str:
    """A user, by number, as the owner of secrets."""
    return f"users/{number}"


def number_of(owner: str) -> int:
    """The number of the user who is such an owner."""
    return int(owner.removeprefix("users/"))


def owner_of_inbound(name: str) -> str:
    """An inbound as the owner of secrets."""
    return f"inbounds/{name}"


class SecretStore:
    """Secrets by owner (``users/7``, ``inbounds/phones``, ``server``) and kind; each method is one transaction.

    No two owners have the same secret of one kind. They are told apart by digests that need the key: a person may have
    chosen one, and it could be guessed.
    """

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    async def get(self, owner: str, kind: str) -> str | None:
        """One secret, or None."""
        async with self._database.begin() as connection:
            wanted = select(secrets.c.sealed).where(secrets.c.owner == owner, secrets.c.kind == kind)
            sealed = (await connection.execute(wanted)).scalar()
        return None if sealed is None else self._open(owner, kind, sealed)

    async def owner(self, kind: str, secret: str) -> str | None:
        """Whose secret this is, or None."""
        async with self._database.begin() as connection:
            wanted = select(secrets.c.owner).where(
                secrets.c.kind == kind, secrets.c.digest == self._box.digest(secret.encode())
            )
            found: str | None = (await connection.execute(wanted)).scalar()
        return found

    async def ensure(self, kind: str, owners: Sequence[str], make: Callable[[], str]) -> dict[str, str]:
        """The secrets of these owners; who has none gets one."""
        async with self._database.begin() as connection:
            found = await self._read(connection, kind, owners)
        missing = [owner for owner in owners if owner not in found]
        if not missing:
            return found
        async with self._database.begin_writing() as connection:
            found |= await self._read(connection, kind, missing)  # perhaps made meanwhile
            made = {owner: make() for owner in missing if owner not in found}
            await self._write(connection, kind, made)
        return found | made

    async def put(self, owner: str, kind: str, secret: str) -> None:
        """Store a secret, in the place of an earlier one.

        Raises:
            Conflict: another owner has it.
        """
        async with self._database.begin_writing() as connection:
            await self.replace(connection, owner, kind, secret)

    async def replace(self, connection: AsyncConnection, owner: str, kind: str, secret: str) -> None:
        """As `put`, in a transaction of somebody else's."""
        try:
            await connection.execute(delete(secrets).where(secrets.c.owner == owner, secrets.c.kind == kind))
            await self._write(connection, kind, {owner: secret})
        except IntegrityError:
            raise Conflict("secret_in_use", f"somebody else has this {kind} secret already", "choose another") from None

    async def remove(self, owner: str, kind: str | None = None) -> None:
        """Forget a secret; without a kind, all that the owner has."""
        which = secrets.c.owner == owner
        async with self._database.begin_writing() as connection:
            await connection.execute(delete(secrets).where(which if kind is None else which & (secrets.c.kind == kind)))

    async def _read(self, connection: AsyncConnection, kind: str, owners: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(owners), _AT_ONCE):
            some = secrets.c.owner.in_(owners[start : start + _AT_ONCE])
            rows = await connection.execute(
                select(secrets.c.owner, secrets.c.sealed).where(secrets.c.kind == kind, some)
            )
            found |= {owner: self._open(owner, kind, sealed) for owner, sealed in rows}
        return found

    async def _write(self, connection: AsyncConnection, kind: str, made: Mapping[str, str]) -> None:
        if made:
            await connection.execute(insert(secrets), list(self._rows(kind, made.items())))

    def _rows(self, kind: str, made: Iterable[tuple[str, str]]) -> Iterable[dict[str, object]]:
        for owner, secret in made:
            sealed = self._box.seal(secret.encode(), f"{owner}/{kind}")
            yield {"owner": owner, "kind": kind, "sealed": sealed, "digest": self._box.digest(secret.encode())}

    def _open(self, owner: str, kind: str, sealed: bytes) -> str:
        return self._box.open(sealed, f"{owner}/{kind}").decode()
