"""Users as access keys."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.domain.inbound import Inbound
from vpn.domain.limits import Limits
from vpn.domain.user import ALL_USERS, NAME_LIMIT, NAME_PATTERN, User, check_note, check_password
from vpn.links import shadowsocks
from vpn.services.groups import GroupService
from vpn.services.outline.ports import KeyPorts, key_method
from vpn.services.outline.state import KeyRecord, State, StateBook
from vpn.services.user_secrets import UserSecrets
from vpn.services.users import UserService
from vpn.store.users import UserStore

_SHORTEST_PASSWORD = 8
_OTHERWISE = "user-"
"""Before the number of a user whose number somebody has chosen as identifier of another key."""
_NO_RECORD = KeyRecord()
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_LARGEST_NUMBER = 2**31 - 1  # as the store has it


class AccessKey(NamedTuple):
    """A user with what a Shadowsocks client needs."""

    id: str
    name: str
    password: str
    port: int
    method: str
    data_limit: int | None
    """Bytes in 30 days; None: the key has no limit of its own."""
    access_url: str


class NewKey(NamedTuple):
    """What may be said of a key that is to be."""

    name: str = ""
    method: str | None = None
    password: str | None = None
    port: int | None = None
    limit: int | None = None
    """Bytes in 30 days."""


class KeyService:
    """Access keys: every user is one, whoever made it. Every change is in force when its method returns."""

    def __init__(
        self,
        users: UserService,
        store: UserStore,
        groups: GroupService,
        passwords: UserSecrets,
        book: StateBook,
        ports: KeyPorts,
    ) -> None:
        self._users = users
        self._groups = groups
        self._store = store
        self._passwords = passwords
        self._book = book
        self._ports = ports

    async def all(self) -> list[AccessKey]:
        """Every key, the oldest first.

        Raises:
            Conflict: Outline is not enabled.
            Unavailable: there is no inbound that keys could lead to.
        """
        state = await self._book.state()
        users = sorted(await self._store.find(ALL_USERS), key=lambda user: user.number)
        return await self._keys(state, users)

    async def get(self, id: str) -> AccessKey:
        """One key.

        Raises:
            NotFound: there is none of this identifier.
        """
        state = await self._book.state()
        return (await self._keys(state, [await self._user(state, id)]))[0]

    async def add(self, new: NewKey, id: str | None = None) -> AccessKey:
        """Add a key, and the user that it is.

        Args:
            id: None: the user's number.

        Raises:
            Invalid: a value is not allowed.
            Conflict: the identifier, the password or the port is taken.
        """
        check_note(new.name)
        async with self._book.order:
            state = await self._pruned(await self._book.state())
            if id is not None:
                await self._check_free(state, _check_id(id))
            inbound = await self._inbound(state, new)
            if new.password is not None:
                self._check_password(state, inbound, new.password)
            limits = {} if new.limit is None else limited(new.limit)
            user = (await self._users.add(_passing_name(), note=new.name, limits=limits)).user
            try:
                if new.password is not None:
                    await self._passwords.put(user.number, new.password)
                named = await self._name(user, id)  # workers hear of the password with it
                record = KeyRecord(inbound=inbound.name, id=id or "", made=True)
                retired = {id} - {*state.retired} if id is not None and _NUMBER.fullmatch(id) else ()
                state = replace(state, keys={**state.keys, user.number: record}, retired=(*state.retired, *retired))
                state = await self._book.keep(state)
            except BaseException:
                await self._forget(user)
                raise
        return (await self._keys(state, [named]))[0]

    async def remove(self, id: str) -> None:
        """Remove a key, its user and what is open.

        Raises:
            NotFound: there is none of this identifier.
        """
        async with self._book.order:
            state = await self._book.state()
            user = await self._user(state, id)
            await self._users.remove(user.name)
            if user.number in state.keys:
                keys = {number: record for number, record in state.keys.items() if number != user.number}
                await self._book.keep(replace(state, keys=keys))

    async def rename(self, id: str, name: str) -> None:
        """Give a key another name. The user's is another thing, and stays.

        Raises:
            NotFound: there is none of this identifier.
            Invalid: the name is too long, or has control characters.
        """
        check_note(name)
        async with self._book.order:
            state = await self._book.state()
            user = await self._user(state, id)
            record = state.keys.get(user.number, _NO_RECORD)
            if record.made:
                await self._users.edit(user.name, note=name)
            else:
                await self._book.keep(replace(state, keys={**state.keys, user.number: replace(record, label=name)}))

    async def limit(self, id: str, size: int | None) -> None:
        """Let a key move so many bytes in 30 days; None: as many as keys may that have no limit of their own.

        Raises:
            NotFound: there is none of this identifier.
            Invalid: the limit is not allowed.
        """
        user = await self._user(await self._book.state(), id)
        await self._users.edit(user.name, limits=unlimited(user.limits) if size is None else limited(size))

    async def identifiers(self) -> dict[int, str]:
        """The identifiers of all keys by the numbers of their users."""
        state = await self._book.state()
        return {user.number: _id(state, user.number) for user in await self._store.all()}

    async def _keys(self, state: State, users: Iterable[User]) -> list[AccessKey]:
        found = list(users)
        passwords = await self._passwords.of_all([user.number for user in found])
        keys = []
        for user, limits in zip(found, await self._groups.limits_of(found), strict=True):
            record = state.keys.get(user.number, _NO_RECORD)
            inbound = self._ports.of_key(state, record, limits.inbounds or ())
            link = self._link(state, inbound, passwords[user.number])
            key = AccessKey(
                id=_id(state, user.number),
                name=user.note if record.made else record.label or user.name,
                password=link.password,
                port=link.port,
                method=link.method,
                data_limit=limit_of(user.limits),
                access_url=shadowsocks.build(link),
            )
            keys.append(key)
        return keys

    def _link(self, state: State, inbound: Inbound, password: str) -> shadowsocks.ShadowsocksLink:
        place = self._ports.place(state, inbound)
        return shadowsocks.ShadowsocksLink(inbound.method, password, place.host, place.port, outline=True)

    async def _user(self, state: State, id: str) -> User:
        number = _number(state, id)
        user = None if number is None else await self._store.numbered(number)
        if user is None:
            raise NotFound("key_unknown", f"no access key has the id {id[:64]}", "list them: GET /access-keys")
        return user

    async def _check_free(self, state: State, id: str) -> None:
        with contextlib.suppress(NotFound):
            await self._user(state, id)
            raise Conflict("key_exists", f"an access key has the id {id} already", "choose another")

    async def _inbound(self, state: State, new: NewKey) -> Inbound:
        """Where a new key leads to."""
        usual = self._ports.of_new(state)
        method = None if new.method is None else key_method(new.method)
        if new.port is not None:
            return await self._ports.at(new.port, method, usual, state.hostname)
        return usual if method is None else await self._ports.with_method(method, usual, state.hostname)

    def _check_password(self, state: State, inbound: Inbound, password: str) -> None:
        if len(check_password(password)) < _SHORTEST_PASSWORD:
            problem = f"the password has {len(password)} characters"
            hint = f"use {_SHORTEST_PASSWORD} at least, or leave it out to have one made"
            raise Invalid("bad_password", problem, hint)
        self._link(state, inbound, password)  # which says what else may be wrong with it

    async def _name(self, user: User, id: str | None) -> User:
        """Name a new user as the key, so that who looks at the users finds it."""
        names = [id] if id is not None and re.fullmatch(NAME_PATTERN, id) and not id.isdigit() else []
        for name in (*names, f"key-{user.number}"):
            with contextlib.suppress(Conflict):  # somebody is called so
                return await self._users.edit(user.name, new_name=name)
        return await self._users.edit(user.name, note=user.note)

    async def _forget(self, user: User) -> None:
        """Remove a user who could not be made a key."""
        stored = await self._store.numbered(user.number)
        if stored is not None:
            await self._users.remove(stored.name)

    async def _pruned(self, state: State) -> State:
        """Without what is remembered of users who are no more."""
        if not state.keys:
            return state
        numbers = {user.number for user in await self._store.all()}
        return replace(state, keys={number: record for number, record in state.keys.items() if number in numbers})


def limited(size: int) -> dict[str, object]:
    """Limits of so many bytes in 30 days. None at all becomes one byte: 0 is how `Limits` says "no limit"."""
    return {"data_limit": max(size, 1), "reset": "rolling"}


def unlimited(limits: Limits) -> dict[str, object]:
    """What takes away a limit of bytes, and a period that has come with it."""
    return dict.fromkeys(("data_limit", "reset") if limits.reset == "rolling" else ("data_limit",))


def limit_of(limits: Limits) -> int | None:
    """The limit in bytes that is said in these limits, as Outline has it."""
    size = limits.data_limit
    return None if not size else 0 if size == 1 else size


def _id(state: State, number: int) -> str:
    chosen = state.keys.get(number, _NO_RECORD).id
    return chosen or (f"{_OTHERWISE}{number}" if str(number) in state.retired else str(number))


def _number(state: State, id: str) -> int | None:
    """The number of the user who has, or would have, this identifier."""
    for number, record in state.keys.items():
        if record.id == id:
            return number
    digits = id.removeprefix(_OTHERWISE)
    if not _NUMBER.fullmatch(digits) or int(digits) > _LARGEST_NUMBER or _id(state, int(digits)) != id:
        return None
    return int(digits)


def _check_id(id: str) -> str:
    if not 1 <= len(id) <= NAME_LIMIT or not id.isprintable() or not id.strip(".") or set(id) & set("/?#"):
        hint = f"use at most {NAME_LIMIT} printable characters, without / ? #"
        raise Invalid("bad_id", f"{id[:64]!r} cannot be the id of an access key", hint)
    return id


def _passing_name() -> str:
    """A name for the moment in which the number of a new user is not known yet."""
    return f"key-{secrets.token_hex(6)}"
