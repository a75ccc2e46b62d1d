"""Enabling, disabling and moving the Outline API, and what its managers have to be told."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import secrets
import socket
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from vpn.domain.address import Endpoint, pack, parse_endpoint
from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import DEFAULT_METHOD, METHODS
from vpn.services.access import reachable_host
from vpn.services.outline.certificate import Certificate, fingerprint, make_certificate, server_context
from vpn.services.outline.ports import KeyPorts, key_method
from vpn.services.outline.state import State, StateBook
from vpn.services.sockets import free_port, listen_on, listen_trouble
from vpn.settings.server import ServerSettings

DEFAULT_HOST = "127.0.0.1"
RETRY = 2.0  # seconds until an address that could not be listened on is tried again
_SECRET = 24  # bytes
_HINT = "choose another address: vpn outline enable --listen HOST:PORT"


class Wish(NamedTuple):
    """How the Outline API is to be served; None: as before, else as seems best."""

    listen: Endpoint | None = None
    """Port 0: one that is free."""
    inbound: str | None = None
    """Where new keys lead to, by name."""
    port: int | None = None
    """Or by port; where nothing is, an inbound is added."""
    method: str | None = None


class Setup(NamedTuple):
    """How the Outline API is served."""

    api_url: str
    cert_sha256: str
    listen: str
    inbound: str
    port: int
    method: str
    problem: str
    """Why it is not served; empty: it is, or nothing is."""
    notices: list[str]
    """What the person who set it up should know."""


class Gate(NamedTuple):
    """What serves the Outline API."""

    open: Callable[[socket.socket, ssl.SSLContext], Awaitable[None]]
    """Serve on this socket, and on no other any more."""
    close: Callable[[], Awaitable[None]]


class OutlineService:
    """The Outline API as a whole. Every change is in force when its method returns.

    Args:
        server: how clients reach us.
        clock: the present moment, with a time zone.
    """

    def __init__(
        self,
        book: StateBook,
        ports: KeyPorts,
        server: Callable[[], ServerSettings],
        clock: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._ports = ports
        self._server = server
        self._clock = clock
        self._gate: Gate | None = None
        self._served = ""
        self._problem = ""

    async def run(self, gate: Gate) -> None:
        """Serve here, from now on. Where the address cannot be listened on, that is logged, and shown, and tried again
        (`keep_trying`).

        Raises:
            Unavailable: the store cannot be read.
        """
        async with self._book.order:
            self._gate = gate
            await self._try()

    async def keep_trying(self) -> None:
        """Serve where that could not be, as soon as it can; goes on until cancelled."""
        while True:
            await asyncio.sleep(RETRY)
            if not self._problem:
                continue
            async with self._book.order:
                if self._problem and await self._try():
                    structlog.get_logger("daemon").info("the Outline API is served now", listen=self._served)

    async def _try(self) -> bool:
        """Serve as is remembered, if anything is; returns whether it can be."""
        state = await self._book.find()
        if state is None or not state.enabled:
            return True
        try:
            await self._open(state, await asyncio.to_thread(_listen, parse_endpoint(state.listen)))
        except Unavailable as error:
            if self._problem != error.message:
                structlog.get_logger("daemon").error("the Outline API is not served", reason=error.message)
            self._served, self._problem = "", error.message
            return False
        return True

    async def find_secret(self) -> str | None:
        """The path that requests must begin with; None: there is no Outline API."""
        state = await self._book.find()
        return state.secret if state is not None and state.enabled else None

    async def show(self) -> Setup:
        """How it is served.

        Raises:
            Conflict: it is not enabled.
        """
        return self._setup(await self._book.state(), None)

    async def enable(self, wish: Wish) -> Setup:
        """Serve it, or serve it otherwise than before. Address and certificate of a server stay as they are.

        Raises:
            Invalid: a value is not allowed.
            NotFound: there is no such inbound.
            Conflict: its port is taken.
            Unavailable: the address cannot be listened on; nothing has changed.
        """
        async with self._book.order:
            before = await self._book.find()
            listen = wish.listen or (parse_endpoint(before.listen) if before else Endpoint(DEFAULT_HOST, 0))
            if not listen.port:
                listen = listen._replace(port=free_port(listen.host))
            known = {inbound.name for inbound in self._ports.usable()}
            inbound = await self._choose(wish, before, listen.host)
            added = inbound if inbound.name not in known else None
            try:
                async with self._moved(before, listen) as sock:
                    state = await self._book.keep(await self._state(before, listen, inbound))
                    if sock is not None and self._gate is not None:
                        await self._open(state, sock)
                    elif sock is not None:
                        sock.close()  # a daemon will open it; now is known that it can be had
            except BaseException:
                if added is not None:
                    await self._ports.remove(added)
                raise
            return self._setup(state, added)

    async def disable(self) -> None:
        """Serve it no longer. Keys go on, and enabling it again brings back address and certificate.

        Raises:
            Conflict: it is not enabled.
        """
        async with self._book.order:
            await self._book.keep(replace(await self._book.state(), enabled=False))
            self._served = self._problem = ""
            if self._gate is not None:
                await self._gate.close()

    async def rotate(self) -> Setup:
        """Serve it below another path: who knows the old one is shut out.

        Raises:
            Conflict: it is not enabled.
        """
        async with self._book.order:
            state = await self._book.keep(replace(await self._book.state(), secret=_make_secret()))
            return self._setup(state, None)

    @contextlib.asynccontextmanager
    async def _moved(self, before: State | None, listen: Endpoint) -> AsyncIterator[socket.socket | None]:
        """A socket to serve on in future; None: the present one. If what follows fails, the present one stays."""
        if self._served == str(listen):
            yield None
            return
        makes_room = before is not None and self._served.endswith(f":{listen.port}")
        if makes_room and self._gate is not None:
            self._served = ""
            await self._gate.close()  # a port on all addresses is not to be had while it is in use on one
        try:
            sock = await asyncio.to_thread(_listen, listen)
            try:
                yield sock
            except BaseException:
                sock.close()
                raise
        except BaseException:
            if makes_room:
                await self._try()
            raise

    async def _open(self, state: State, sock: socket.socket) -> None:
        assert self._gate is not None
        try:
            await self._gate.open(sock, server_context(_certificate(state)))
        except BaseException:
            sock.close()
            raise
        self._served, self._problem = state.listen, ""

    async def _choose(self, wish: Wish, before: State | None, host: str) -> Inbound:
        """Where new keys are to lead to."""
        method = None if wish.method is None else key_method(wish.method)
        if wish.inbound is not None:
            if wish.port is not None or method is not None:
                raise Invalid("bad_request", "an inbound has its port and method", "name an inbound, or say the others")
            return self._ports.named(wish.inbound)
        usable = self._ports.usable()
        like = Inbound("new", "shadowsocks", Endpoint(host, 0), method=DEFAULT_METHOD)
        if wish.port is not None:
            return await self._ports.at(wish.port, method, like)
        usual = self._ports.find(before.inbound) if before else None
        found = ([usual] if usual else []) + usable
        for inbound in found:
            if method in (None, METHODS[inbound.method]):
                return inbound
        return await self._ports.add(Endpoint(host, free_port(host)), method or METHODS[DEFAULT_METHOD], "")

    async def _state(self, before: State | None, listen: Endpoint, inbound: Inbound) -> State:
        if before is not None:
            return replace(before, enabled=True, listen=str(listen), inbound=inbound.name)
        now = self._clock()
        made = await asyncio.to_thread(make_certificate, self._host(listen), now)
        return State(
            enabled=True,
            listen=str(listen),
            secret=_make_secret(),
            certificate=made.certificate,
            private_key=made.key,
            server_id=str(uuid.uuid4()),
            created=int(now.timestamp() * 1000),
            inbound=inbound.name,
            home=inbound.name,
        )

    def _host(self, listen: Endpoint) -> str:
        """Where managers reach it."""
        said = self._server().public_host
        return said if said and not _is_loopback(listen.host) else reachable_host(listen.host)

    def _setup(self, state: State, added: Inbound | None) -> Setup:
        listen = parse_endpoint(state.listen)
        inbound = self._ports.of_new(state)
        place = self._ports.place(state, inbound)
        notices = []
        if added is not None:
            notices.append(f"The inbound {added.name} was added: Shadowsocks with {added.method} on {added.listen}.")
        if _is_loopback(listen.host):
            notices.append(
                f"It listens on {listen}: programs on other machines cannot reach it. "
                f"To let them: vpn outline enable --listen 0.0.0.0:{listen.port}"
            )
        elif not self._server().public_host:
            notices.append(f"The host {self._host(listen)} is a guess; set server.public_host if it is another one.")
        if self._ports.is_guess(state, inbound):
            notices.append(f"Access keys lead to {place.host}, which is a guess; set server.public_host.")
        if self._problem:
            notices.append(f"It is not served: {self._problem}.")
        return Setup(
            api_url=f"https://{Endpoint(self._host(listen), listen.port)}/{state.secret}",
            cert_sha256=fingerprint(state.certificate),
            listen=state.listen,
            inbound=inbound.name,
            port=place.port,
            method=inbound.method,
            problem=self._problem,
            notices=notices,
        )


def setup_line(setup: Setup) -> str:
    """What Outline Manager takes."""
    return json.dumps({"apiUrl": setup.api_url, "certSha256": setup.cert_sha256}, separators=(",", ":"))


def _listen(listen: Endpoint) -> socket.socket:
    return listen_on(listen, partial(listen_trouble, hint=_HINT))


def _certificate(state: State) -> Certificate:
    return Certificate(state.certificate, state.private_key)


def _is_loopback(host: str) -> bool:
    return host == "localhost" if pack(host) is None else ipaddress.ip_address(host).is_loopback


def _make_secret() -> str:
    return secrets.token_urlsafe(_SECRET)
