"""Which inbounds there are to be: those of the settings, and those that were added by commands; and their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

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

    async def wanted(self, proxy: ProxySettings, managed: Managed | None = None) -> list[Inbound]:
        """All inbounds that there are to be, with their keys; a key that is missing is made.

        Args:
            managed: those that are to be added by commands; None: as they are now.
        """
        inbounds = with_managed(proxy, self.managed if managed is None else managed)
        return [await self._with_key(inbound) for inbound in inbounds]

    async def put(self, name: str, settings: InboundSettings) -> None:
        """Keep an inbound."""
        await self._store.put(name, settings.model_dump_json(exclude_unset=True), self._clock())
        self.managed = {**self.managed, name: settings}

    async def remove(self, name: str) -> None:
        """Keep an inbound no longer, nor its keys."""
        await self._store.remove(name)
        self.managed = {other: settings for other, settings in self.managed.items() if other != name}

    async def key(self, name: str, method: Method) -> str | None:
        """The key that an inbound has for a method."""
        return await self._secrets.get(owner_of_inbound(name), method.name)

    async def put_key(self, name: str, method: Method, key: str | None) -> None:
        """Let an inbound have this key for a method; None: it has none, until it needs one.

        Raises:
            Conflict: another inbound has it.
        """
        if key is None:
            await self._secrets.remove(owner_of_inbound(name), method.name)
        else:
            await self._secrets.put(owner_of_inbound(name), method.name, key)

    async def _with_key(self, inbound: Inbound) -> Inbound:
        method = METHODS.get(inbound.method)
        if method is None or not method.identified:
            return inbound
        owner = owner_of_inbound(inbound.name)
        keys = await self._secrets.ensure(method.name, [owner], partial(make_key, method))
        return msgspec.structs.replace(inbound, key=keys[owner])
