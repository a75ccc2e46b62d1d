"""Adding, changing and removing inbounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import msgspec
from pydantic import ValidationError

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import DEFAULT_METHOD, check_key, method_of
from vpn.services.data_plane import DataPlane
from vpn.services.inbound_register import InboundRegister
from vpn.settings.proxy import InboundSettings
from vpn.settings.values import check_name


class InboundState(msgspec.Struct, frozen=True):
    """An inbound, and how it is."""

    inbound: Inbound
    """As it is served, if it is; its port is the real one then."""
    problem: str = ""
    """Why it is not served; empty: it is, or nothing is."""


class InboundService:
    """Inbounds: those of the settings are shown, those that are managed here are changed, too.

    Every change is in force when its method returns, and touches no session of other inbounds.
    """

    def __init__(self, register: InboundRegister, data_plane: DataPlane) -> None:
        self._register = register
        self._data_plane = data_plane
        self._order = asyncio.Lock()

    def all(self) -> list[InboundState]:
        """Every inbound."""
        served = {inbound.name: inbound for inbound in self._data_plane.inbounds()}
        problems = self._data_plane.unserved
        return [
            InboundState(served.get(inbound.name, inbound), problems.get(inbound.name, ""))
            for inbound in self._data_plane.wanted
        ]

    def get(self, name: str) -> InboundState:
        """One inbound.

        Raises:
            NotFound: there is none of this name.
        """
        for state in self.all():
            if state.inbound.name == name:
                return state
        raise NotFound("inbound_unknown", f"there is no inbound {name[:64]}", "list them with: vpn inbounds list")

    async def add(self, name: str, fields: Mapping[str, Any], key: str | None = None) -> InboundState:
        """Add an inbound.

        Args:
            fields: as the settings have them below ``proxy.inbounds``.
            key: of Shadowsocks, where inbounds have one; None: one is made.

        Raises:
            Invalid: a value is not allowed, or a certificate cannot be used.
            Conflict: the name is taken.
            Unavailable: its address cannot be listened on.
        """
        check_name(name)
        async with self._order:
            if any(state.inbound.name == name for state in self.all()):
                raise Conflict("inbound_exists", f"there is an inbound {name} already", "choose another name")
            return await self._put(name, _settings(fields), key)

    async def edit(self, name: str, changes: Mapping[str, Any], key: str | None = None) -> InboundState:
        """Change what is named; None: as if it had never been said.

        Raises:
            As `add`, and NotFound.
        """
        async with self._order:
            fields = self._managed(name).model_dump(mode="json", exclude_unset=True) | dict(changes)
            settings = _settings({field: value for field, value in fields.items() if value is not None})
            return await self._put(name, settings, key)

    async def remove(self, name: str) -> None:
        """Remove an inbound. Its clients have the drain timeout to end.

        Raises:
            NotFound: there is none of this name.
            Conflict: the settings have it.
        """
        async with self._order:
            self._managed(name)
            rest = {other: settings for other, settings in self._register.managed.items() if other != name}
            await self._data_plane.manage(rest, partial(self._register.remove, name), name)

    async def _put(self, name: str, settings: InboundSettings, key: str | None) -> InboundState:
        managed = {**self._register.managed, name: settings}
        async with self._key_put(name, settings, key) if key is not None else contextlib.nullcontext():
            await self._data_plane.manage(managed, partial(self._register.put, name, settings), name)
        return self.get(name)

    @contextlib.asynccontextmanager
    async def _key_put(self, name: str, settings: InboundSettings, key: str) -> AsyncIterator[None]:
        """The inbound has this key, unless what follows fails."""
        method = method_of(settings.method or DEFAULT_METHOD) if settings.protocol == "shadowsocks" else None
        if method is None or not method.identified:
            raise Invalid("no_key", "this inbound has no key of its own", "leave the key out: every user has one")
        before = await self._register.key(name, method)
        await self._register.put_key(name, method, check_key(method, key))
        try:
            yield
        except BaseException:
            await self._register.put_key(name, method, before)
            raise

    def _managed(self, name: str) -> InboundSettings:
        """The settings of a managed inbound."""
        self.get(name)
        settings = self._register.managed.get(name)
        if settings is None:
            problem = f"the inbound {name} comes from the settings"
            raise Conflict("inbound_not_managed", problem, "change the settings, and then: vpn reload")
        return settings


def _settings(fields: Mapping[str, Any]) -> InboundSettings:
    try:
        settings = InboundSettings.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise Invalid("bad_inbound", f"{where}: {said}" if where else f"an inbound needs {said}", "see docs") from None
    if settings.listen is None:
        raise Invalid("bad_inbound", "nothing says where it is to listen", "give listen, e.g. 0.0.0.0:8388")
    return settings
