"""The server as Outline knows it: its name, its host, the port of new keys, and the limit of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from vpn.domain.address import pack
from vpn.domain.errors import Invalid, NotFound
from vpn.domain.group import EVERYONE
from vpn.domain.hostname import is_hostname
from vpn.domain.user import check_note
from vpn.services.groups import GroupService
from vpn.services.outline.keys import limit_of, limited, unlimited
from vpn.services.outline.ports import KeyPorts
from vpn.services.outline.state import StateBook
from vpn.settings.server import ServerSettings

VERSION = "1.12.3"
"""Outline's own version whose API this is: its manager asks for it before it uses what came later."""
_LONGEST_NAME = 100
_DEFAULT_NAME = "Outline Server"


class ServerView(NamedTuple):
    """How the server is set up."""

    name: str
    server_id: str
    metrics_enabled: bool
    created: int
    """Milliseconds since the epoch."""
    limit: int | None
    """Bytes in 30 days that each key may move that has no limit of its own; None: any number."""
    port: int
    hostname: str


class ServerService:
    """What can be changed of the server. Every change is in force when its method returns.

    Args:
        settings: what the server is called as long as nobody has given it a name here.
    """

    def __init__(
        self, book: StateBook, ports: KeyPorts, groups: GroupService, settings: Callable[[], ServerSettings]
    ) -> None:
        self._book = book
        self._ports = ports
        self._groups = groups
        self._settings = settings

    async def view(self) -> ServerView:
        """How it is set up.

        Raises:
            Conflict: Outline is not enabled.
            Unavailable: there is no inbound that keys could lead to.
        """
        state = await self._book.state()
        place = self._ports.place(state, self._ports.of_new(state))
        return ServerView(
            name=state.name or self._settings().name or self._settings().public_host or _DEFAULT_NAME,
            server_id=state.server_id,
            metrics_enabled=state.metrics_enabled,
            created=state.created,
            limit=await self._limit(),
            port=place.port,
            hostname=place.host,
        )

    async def rename(self, name: str) -> None:
        """Call the server otherwise.

        Raises:
            Invalid: the name is too long, or has control characters.
        """
        check_note(name)
        if len(name) > _LONGEST_NAME:
            problem = f"the server's name has {len(name)} characters"
            raise Invalid("bad_name", problem, f"use at most {_LONGEST_NAME}")
        async with self._book.order:
            await self._book.keep(replace(await self._book.state(), name=name))

    async def set_hostname(self, hostname: str) -> None:
        """Let all keys' links name this host.

        Raises:
            Invalid: it is neither a host's name nor an address.
        """
        if len(hostname) > 253 or (pack(hostname) is None and not is_hostname(hostname)):
            problem = f"{hostname[:80]!r} is neither a host name nor an IP address"
            raise Invalid("bad_host", problem, "write it as vpn.example.org or 192.0.2.1, without a port")
        async with self._book.order:
            state = await self._book.state()
            await self._ports.rename_host(hostname)
            await self._book.keep(replace(state, hostname=hostname))

    async def set_port(self, port: int) -> None:
        """Let new keys lead to this port, where an inbound is added if there is none. Older keys stay as they are.

        Raises:
            Invalid: it is no port.
            Conflict: something else has it.
        """
        async with self._book.order:
            state = await self._book.state()
            inbound = await self._ports.at(port, None, self._ports.of_new(state), state.hostname)
            await self._book.keep(replace(state, inbound=inbound.name))

    async def set_limit(self, size: int | None) -> None:
        """Let each key that has no limit of its own move so many bytes in 30 days; None: any number.

        It is the limit of the group ``everyone``.

        Raises:
            Invalid: the limit is not allowed.
        """
        async with self._book.order:
            await self._book.state()
            try:
                limits = (await self._groups.get(EVERYONE)).group.limits
            except NotFound:
                if size is not None:
                    await self._groups.add(EVERYONE, limits=limited(size))
                return
            await self._groups.edit(EVERYONE, limits=unlimited(limits) if size is None else limited(size))

    async def set_metrics(self, enabled: bool) -> None:
        """Remember whether the server's owner shares metrics. We send nobody any."""
        async with self._book.order:
            await self._book.keep(replace(await self._book.state(), metrics_enabled=enabled))

    async def _limit(self) -> int | None:
        try:
            return limit_of((await self._groups.get(EVERYONE)).group.limits)
        except NotFound:
            return None
