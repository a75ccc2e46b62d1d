"""Which inbounds there are to be: those of the settings, and those that were added by commands; and their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType

import msgspec
from pydantic import ValidationError

from vpn.domain.errors import Unavailable
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import METHODS, Method, make_key
from vpn.settings.plane import with_managed
from vpn.settings.proxy import InboundSettings, ProxySettings
from vpn.store.inbounds import InboundStore
from vpn.store.sealed import SecretStore, owner_of_inbound

Managed = Mapping[str, InboundSettings]
NO_KEYS: Mapping[str, str] = MappingProxyType({})


class InboundRegister:
    """The managed inbounds as they are stored, and the keys of all that have one. `load` it before anything else.

    Args:
        clock: the present moment, with a time zone.
    """

    def __init__(self, store: InboundStore, secrets: SecretStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self.managed: Managed = {}

    async def load(self) -> None:
        """Go on with what is stored.

        Raises:
            Unavailable: the store cannot be read, or holds what no inbound is.
        """
        managed = {}
        for stored in await self._store.all():
            try:
                managed[stored.name] = InboundSettings.model_validate_json(stored.document)
            except ValidationError as error:
                problem = f"the stored inbound {stored.name} cannot be read: {error.errors()[0]['msg']}"
                raise Unavailable("inbound_unreadable", problem, "was it written by a newer version?") from None
        self.managed = managed

    async def wanted(
        self, proxy: ProxySettings, managed: Managed | None = None, keys: Mapping[str, str] = NO_KEYS
    ) -> list[Inbound]:
        """All inbounds that there are to be, with their keys; a key that is missing is made.

        Args:
            managed: those that are to be added by commands; None: as they are now.
            keys: by name of the inbound, those that are to be others.
        """
        inbounds = with_managed(proxy, self.managed if managed is None else managed)
        return [
            msgspec.structs.replace(inbound, key=keys[inbound.name])
            if inbound.name in keys
            else await self._with_key(inbound)
            for inbound in inbounds
        ]

    async def put(self, name: str, settings: InboundSettings, key: tuple[Method, str] | None = None) -> None:
        """Keep an inbound, and the key that it is to have for a method, if it is given one.

        Raises:
            Conflict: another inbound has this key; nothing is kept.
        """
        also = None
        if key is not None:
            kind, secret = key[0].name, key[1]
            owner = owner_of_inbound(name)
            also = partial(self._secrets.replace, owner=owner, kind=kind, secret=secret)
        await self._store.put(name, settings.model_dump_json(exclude_unset=True), self._clock(), also)
        self.managed = {**self.managed, name: settings}

    async def remove(self, name: str) -> None:
        """Keep an inbound no longer, nor its keys."""
        await self._store.remove(name)
        self.managed = {other: settings for other, settings in self.managed.items() if other != name}

    async def _with_key(self, inbound: Inbound) -> Inbound:
        method = METHODS.get(inbound.method)
        if method is None or not method.identified:
            return inbound
        owner = owner_of_inbound(inbound.name)
        keys = await self._secrets.ensure(method.name, [owner], partial(make_key, method))
        return msgspec.structs.replace(inbound, key=keys[owner])
