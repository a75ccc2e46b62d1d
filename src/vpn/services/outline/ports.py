"""The inbounds that access keys lead to: those that speak Shadowsocks as Outline's clients know it (SIP004)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from vpn.domain.address import Endpoint
from vpn.domain.errors import Conflict, Invalid, Unavailable
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import DEFAULT_METHOD, METHODS, Method, method_of
from vpn.services.access import reach
from vpn.services.inbounds import InboundService
from vpn.services.outline.state import KeyRecord, State
from vpn.services.sockets import free_port
from vpn.settings.server import ServerSettings

_NAME = "outline"
_MOST = 64  # inbounds that there may be for access keys, before no more are added for them


class KeyPorts:
    """Finds inbounds for access keys, and adds managed ones where there is none.

    Args:
        server: how clients reach us.
    """

    def __init__(self, inbounds: InboundService, server: Callable[[], ServerSettings]) -> None:
        self._inbounds = inbounds
        self._server = server

    def usable(self) -> list[Inbound]:
        """All that Outline's clients can use."""
        return [state.inbound for state in self._inbounds.all() if _is_usable(state.inbound)]

    def named(self, name: str) -> Inbound:
        """One of them.

        Raises:
            NotFound: there is none of this name.
            Invalid: Outline's clients cannot use it.
        """
        inbound = self._inbounds.get(name).inbound
        if not _is_usable(inbound):
            problem = f"Outline's clients cannot use the inbound {name}"
            raise Invalid("bad_inbound", problem, f"name one of Shadowsocks with {', '.join(_names())}")
        return inbound

    def find(self, name: str) -> Inbound | None:
        """One of them, if it is still there."""
        return next((inbound for inbound in self.usable() if inbound.name == name), None)

    def of_new(self, state: State) -> Inbound:
        """Where new keys lead to.

        Raises:
            Unavailable: nowhere.
        """
        return self.of_key(state, KeyRecord(inbound=state.inbound))

    def of_key(self, state: State, record: KeyRecord, allowed: Collection[str] = ()) -> Inbound:
        """Where a key leads to; if that inbound is no more, or not for this user, another one.

        Args:
            allowed: names of the inbounds that the user may come by; none: all.

        Raises:
            Unavailable: there is none.
        """
        usable = {inbound.name: inbound for inbound in self.usable()}
        if not usable:
            problem = "there is no Shadowsocks inbound that access keys could lead to"
            raise Unavailable("outline_no_inbound", problem, "have one added: vpn outline enable")
        names = [name for name in (record.inbound, state.home, state.inbound, *usable) if name in usable]
        return usable[next((name for name in names if name in allowed), names[0])]

    def place(self, state: State, inbound: Inbound) -> Endpoint:
        """The host and the port in an inbound's links."""
        place = reach(inbound, self._server())
        said = "" if inbound.managed else state.hostname
        return Endpoint(said or place.host, place.port)

    def is_guess(self, state: State, inbound: Inbound) -> bool:
        """Whether nobody has said which host to put into the links."""
        return reach(inbound, self._server()).guessed and (inbound.managed or not state.hostname)

    async def at(self, port: int, method: Method | None, like: Inbound, hostname: str = "") -> Inbound:
        """The inbound at a port; where nothing is, one is added.

        Args:
            method: None: any; an inbound that is added has that of `like`.
            like: on whose address it is added.

        Raises:
            Invalid: the port is none.
            Conflict: something else has the port.
        """
        if not 1 <= port <= 65535:
            raise Invalid("bad_port", f"{port} is no port", "give one from 1 to 65535")
        for inbound in (state.inbound for state in self._inbounds.all()):
            if port not in (inbound.listen.port, inbound.public_port):
                continue
            if _is_usable(inbound) and method in (None, METHODS[inbound.method]):
                return inbound
            spoken = inbound.method or inbound.protocol
            problem = f"port {port} is taken: the inbound {inbound.name} speaks {spoken} there"
            raise Conflict("port_taken", problem, "choose another port; each has one method")
        chosen = method or METHODS[like.method]
        try:
            return await self.add(Endpoint(like.listen.host, port), chosen, like.public_host or hostname)
        except Unavailable as error:
            raise Conflict("port_taken", error.message, "choose another port") from None

    async def with_method(self, method: Method, like: Inbound, hostname: str = "") -> Inbound:
        """An inbound with a method, `like` before others; where there is none, one is added at a free port."""
        for inbound in (like, *self.usable()):
            if inbound.method == method.name:
                return inbound
        host = like.listen.host
        return await self.add(Endpoint(host, free_port(host)), method, like.public_host or hostname)

    async def add(self, listen: Endpoint, method: Method, public_host: str) -> Inbound:
        """Add an inbound.

        Raises:
            Conflict: there are too many.
            Unavailable: its address cannot be listened on.
        """
        if len(self.usable()) >= _MOST:
            problem = f"there are {_MOST} Shadowsocks inbounds already"
            raise Conflict("too_many_inbounds", problem, "use the ports that there are, or: vpn inbounds remove NAME")
        taken = {state.inbound.name for state in self._inbounds.all()}
        names = (_NAME, *(f"{_NAME}-{listen.port}{end}" for end in ("", "-a", "-b", "-c")))
        name = next(name for name in names if name not in taken)
        fields: dict[str, Any] = {"protocol": "shadowsocks", "listen": str(listen), "method": method.name}
        if public_host:
            fields["public_host"] = public_host
        return (await self._inbounds.add(name, fields)).inbound

    async def remove(self, inbound: Inbound) -> None:
        """Remove one that was added in vain."""
        await self._inbounds.remove(inbound.name)

    async def rename_host(self, hostname: str) -> None:
        """Let the links of all managed inbounds name this host."""
        for inbound in self.usable():
            if inbound.managed:
                await self._inbounds.edit(inbound.name, {"public_host": hostname})


def key_method(name: str) -> Method:
    """The method of this name, if access keys can have it.

    Raises:
        Invalid: they cannot.
    """
    method = method_of(name)
    if method.edition != 1:
        problem = f"Outline's clients do not know {method.name}"
        raise Invalid("bad_method", problem, f"there are: {', '.join(_names())}; usual is {DEFAULT_METHOD}")
    return method


def _is_usable(inbound: Inbound) -> bool:
    return inbound.protocol == "shadowsocks" and METHODS[inbound.method].edition == 1


def _names() -> list[str]:
    return [method.name for method in METHODS.values() if method.edition == 1]
