"""Adding, changing and removing inbounds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from pydantic import ValidationError

from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import DEFAULT_METHOD, Method, check_key, method_of
from vpn.services.access import Reach, reach
from vpn.services.data_plane import DataPlane
from vpn.services.inbound_register import NO_KEYS, InboundRegister
from vpn.settings.problems import problems_of
from vpn.settings.proxy import MOST_INBOUNDS, InboundSettings
from vpn.settings.values import check_name


class InboundState(msgspec.Struct, frozen=True):
    """An inbound, and how it is."""

    inbound: Inbound
    """As it is served, if it is; its port is the real one then."""
    reach: Reach
    """Where clients reach it."""
    settings: Mapping[str, Any]
    """What was said of it, by the settings or by commands; the rest is as it is by default."""
    served: bool = False
    problem: str = ""
    """Why it is not served; empty: it is, or nothing is."""
    connections: int = 0
    """Clients that are connected now, whether or not they have a session."""


class InboundService:
    """Inbounds: those of the settings are shown, those that are managed here are changed, too.

    Every change is in force when its method returns, and touches no session of other inbounds.
    """

    def __init__(self, register: InboundRegister, data_plane: DataPlane) -> None:
        self._register = register
        self._data_plane = data_plane
        self._order = asyncio.Lock()

    @property
    def in_order(self) -> bool:
        """Whether all are served that are to be."""
        return not self._data_plane.unserved

    def all(self) -> list[InboundState]:
        """Every inbound: those of the settings, and then those that are managed."""
        plane = self._data_plane
        connections = plane.connections()
        return [
            InboundState(
                inbound=inbound,
                reach=reach(inbound, plane.server),
                settings=self._said(inbound),
                served=inbound.name in connections,
                problem=plane.unserved.get(inbound.name, ""),
                connections=connections.get(inbound.name, 0),
            )
            for inbound in plane.as_served()
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
            Invalid: a value is not allowed, or a certificate cannot be used; the message names the field.
            Conflict: the name, the address or the key is taken.
            Unavailable: its address cannot be listened on.
        """
        check_name(name)
        async with self._order:
            if any(inbound.name == name for inbound in self._data_plane.wanted):
                raise Conflict("inbound_exists", f"there is an inbound {name} already", "choose another name")
            if len(self._register.managed) >= MOST_INBOUNDS:
                raise Conflict(
                    "too_many_inbounds", f"there are {MOST_INBOUNDS} managed inbounds already", "remove one of them"
                )
            return await self._put(name, _settings(fields), key)

    async def edit(self, name: str, changes: Mapping[str, Any], key: str | None = None) -> InboundState:
        """Change what is named; None: as if it had never been said. Of what has parts (``tls``), those that are named.

        Raises:
            As `add`, and NotFound.
        """
        async with self._order:
            before = self._managed(name).model_dump(mode="json", exclude_unset=True)
            unknown = {field: None for field in changes if field not in InboundSettings.model_fields}
            return await self._put(name, _settings(_merged(before, changes) | unknown), key)

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
        self._check_address(name, settings)
        managed = {**self._register.managed, name: settings}
        before = self._register.managed.get(name)
        own = (_method_with_key(settings, key), key) if key is not None else None
        store = partial(self._register.put, name, settings, own)
        try:
            await self._data_plane.manage(managed, store, name, {name: key} if key is not None else NO_KEYS)
        except Unavailable as error:
            if error.code == "cannot_listen" and _same_port(before, settings):
                hint = f"if {name} itself uses it, by another address: remove it and add it again, or take another port"
                raise Unavailable(error.code, error.message, hint) from None
            raise
        return self.get(name)

    def _check_address(self, name: str, settings: InboundSettings) -> None:
        """Also without a daemon, when nothing is opened."""
        for other in self._data_plane.wanted:
            if other.name != name and other.listen == settings.listen and other.listen.port:
                problem = f"listen cannot be {other.listen}: the inbound {other.name} listens there"
                raise Conflict("address_taken", problem, "choose another port")

    def _said(self, inbound: Inbound) -> Mapping[str, Any]:
        inbounds = self._register.managed if inbound.managed else self._data_plane.proxy.inbounds
        settings = inbounds.get(inbound.name)
        return {} if settings is None else settings.model_dump(mode="json", exclude_unset=True)

    def _managed(self, name: str) -> InboundSettings:
        """The settings of a managed inbound."""
        settings = self._register.managed.get(name)
        if settings is None:
            self.get(name)
            problem = f"the inbound {name} comes from the settings"
            raise Conflict("inbound_not_managed", problem, "change the settings, and then: vpn reload")
        return settings


def _method_with_key(settings: InboundSettings, key: str) -> Method:
    """The method that this key is for.

    Raises:
        Invalid: it is no key for that, or the inbound has none.
    """
    method = method_of(settings.method or DEFAULT_METHOD) if settings.protocol == "shadowsocks" else None
    if method is None or not method.identified:
        raise Invalid("no_key", "this inbound has no key of its own", "leave the key out: every user has one")
    check_key(method, key)
    return method


def _same_port(before: InboundSettings | None, after: InboundSettings) -> bool:
    """Whether an inbound goes from one address of a port to another."""
    if before is None or before.listen is None or after.listen is None:
        return False
    return before.listen != after.listen and before.listen.port == after.listen.port


def _merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON merge patch has it (RFC 7396)."""
    merged = dict(before)
    for field, value in changes.items():
        if value is None:
            merged.pop(field, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(field, {}), Mapping):
            merged[field] = _merged(merged.get(field, {}), value)
        else:
            merged[field] = value
    return merged


def _settings(fields: Mapping[str, Any]) -> InboundSettings:
    try:
        settings = InboundSettings.model_validate(dict(fields))
    except ValidationError as error:
        _, message, hint = problems_of(error, InboundSettings)[0]
        raise Invalid("bad_inbound", message, hint) from None
    if settings.listen is None:
        raise Invalid("bad_inbound", "listen is needed: nothing says where it is to listen", "e.g. 0.0.0.0:8388")
    return settings
