"""Builds everything and wires it: the daemon, and the same API in one process for a single request."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
import uvloop
from fastapi import FastAPI

from vpn import logs
from vpn.api import in_process
from vpn.api.app import create_app
from vpn.api.auth import trusted
from vpn.api.server import APIServer
from vpn.data_directory import DataDirectory
from vpn.domain.address import Endpoint
from vpn.domain.errors import Unavailable
from vpn.domain.inbound import Inbound
from vpn.proxy.binding import Bound, bind
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.tls import client_context, server_context
from vpn.services.access import links_for
from vpn.services.authentication import Authentication
from vpn.services.session_log import log_sessions
from vpn.services.snapshots import Snapshots
from vpn.services.status import StatusService
from vpn.services.users import Admission, UserService
from vpn.settings.model import Settings
from vpn.settings.plane import egress_of, inbounds_of, setting_of
from vpn.store.database import Database, sqlite_url
from vpn.store.facts import FactStore
from vpn.store.secrets import open_box, read_key
from vpn.store.users import UserStore

FIRST_USER = "me"
_FIRST_NOTE = "made at the first start"
_WELCOMED = "welcomed"
_COMMAND = 3.0  # seconds that a command without a daemon may still have the data directory


class Announcement(NamedTuple):
    """What a person needs to know once the daemon serves."""

    inbounds: list[Inbound]
    api: Endpoint
    data_directory: Path
    token_file: Path
    first_links: list[str]
    """The links of the first user; only at the first start."""


class House(NamedTuple):
    """The floors from the store up to the API, built."""

    app: FastAPI
    users: UserService
    user_store: UserStore
    facts: FactStore
    snapshots: Snapshots
    status: StatusService


def serve(settings: Settings, announce: Callable[[Announcement], None]) -> None:
    """Run the daemon until SIGINT or SIGTERM.

    Raises:
        DomainError: it cannot start; nothing is left half-made.
    """
    os.umask(0o077)
    logs.configure(level=settings.log.level, format=settings.log.format)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # workers inherit it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, announce))


def call_in_process(settings: Settings, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    """Answer one API request in this process, as the daemon would.

    Raises:
        Conflict: another process has the data directory.
        DomainError: the data directory or the database cannot be used.
    """
    os.umask(0o077)
    logs.configure(level="critical", format=settings.log.format)  # the command itself says what went wrong

    async def answer() -> tuple[int, bytes]:
        with DataDirectory(settings.data_dir, patience=1) as directory:
            async with _build(settings, directory, inbounds_of(settings.proxy)) as house:
                return await in_process.call(house.app, method, target, body)

    return asyncio.run(answer())


async def _serve(settings: Settings, announce: Callable[[Announcement], None]) -> None:
    log = structlog.get_logger("daemon")
    stop = asyncio.Event()
    _handle_signals(stop)
    # Ports first: if one is taken, nothing has been written yet.
    api_socket = _listen(settings.api.listen, "api.listen")
    _check_certificates(settings)
    bound = _bind_all(inbounds_of(settings.proxy), settings.proxy.workers)
    inbounds = [each.inbound for each in bound]
    with api_socket, DataDirectory(settings.data_dir, patience=_COMMAND) as directory:
        async with _build(settings, directory, inbounds) as house:
            authentication = Authentication(house.user_store)
            supervisor = Supervisor(
                bound,
                settings.proxy.workers,
                verify=authentication.verify,
                on_sessions=log_sessions,
                log=structlog.get_logger("proxy"),
                max_connections=settings.proxy.max_connections,
            )
            house.status.watch(supervisor)
            house.snapshots.publish_to(supervisor.publish)
            unix_socket = directory.listen()
            servers = [APIServer(house.app, api_socket), APIServer(trusted(house.app), unix_socket)]
            try:
                await _start(supervisor, house)
                first = await _welcome(house)
                for server in servers:
                    server.start()
                await _announce(announce, _announcement(directory, inbounds, api_socket, first), house)
                log.info("ready", proxy=[str(each.listen) for each in inbounds], workers=settings.proxy.workers)
                await stop.wait()
                log.info("stopping", sessions=supervisor.totals().active, drain=settings.proxy.drain_timeout)
                await supervisor.stop(settings.proxy.drain_timeout)
            finally:
                supervisor.kill()
                for server in servers:
                    await server.stop()
                authentication.close()
                directory.api_socket.unlink(missing_ok=True)
            log.info("stopped")


@asynccontextmanager
async def _build(settings: Settings, directory: DataDirectory, inbounds: list[Inbound]) -> AsyncIterator[House]:
    """The floors from the store up, and their end."""
    if directory.key.exists():
        read_key(directory.key)  # a damaged one is found before the database is touched
    database = Database(settings.database.url or sqlite_url(directory.database))
    try:
        await database.migrate()
        facts = FactStore(database)
        await _open_secrets(directory, facts)
        user_store = UserStore(database)
        snapshots = Snapshots(user_store, egress_of(settings.proxy))
        users = UserService(user_store, snapshots, partial(datetime.now, UTC))
        status = StatusService(user_store, inbounds)
        app = create_app(
            users=users,
            links_for=partial(links_for, inbounds),
            status=status,
            token=directory.read_token(),
        )
        yield House(app, users, user_store, facts, snapshots, status)
    finally:
        await database.close()


async def _open_secrets(directory: DataDirectory, facts: FactStore) -> None:
    """Make sure that key and database belong together."""
    try:
        await open_box(directory.key, facts)
    except OSError as error:
        raise Unavailable(
            "data_dir_unusable", f"{directory.key}: {error.strerror}", "is there space, and may we write there?"
        ) from None


async def _start(supervisor: Supervisor, house: House) -> None:
    try:
        await supervisor.start(await house.snapshots.build())
    except TimeoutError:
        raise Unavailable(
            "workers_failed", "the data-plane workers did not start in time", "the lines above may say why"
        ) from None


async def _welcome(house: House) -> Admission | None:
    """At the very first start, make a first user, unless there are users already."""
    if await house.facts.get(_WELCOMED) is not None:
        return None
    users, count = await house.users.page(page=1, page_size=1)
    if count == 0:
        return await house.users.add(FIRST_USER, note=_FIRST_NOTE)
    if count == 1 and users[0].note == _FIRST_NOTE:
        # Made at a start that did not get as far as to show the password.
        return await house.users.set_password(FIRST_USER)
    return None


async def _announce(announce: Callable[[Announcement], None], announcement: Announcement, house: House) -> None:
    """Show the person what there is; the first user counts as shown only then."""
    try:
        announce(announcement)
    except OSError as error:
        structlog.get_logger("daemon").warning("nothing can be printed", reason=error.strerror)
        return
    if await house.facts.get(_WELCOMED) is None:
        await house.facts.put(_WELCOMED, b"")


def _announcement(
    directory: DataDirectory, inbounds: list[Inbound], api_socket: socket.socket, first: Admission | None
) -> Announcement:
    return Announcement(
        inbounds=inbounds,
        api=Endpoint(*api_socket.getsockname()[:2]),
        data_directory=directory.path,
        token_file=directory.token,
        first_links=links_for(inbounds, first.user.name, first.password) if first is not None else [],
    )


def _check_certificates(settings: Settings) -> None:
    for inbound in inbounds_of(settings.proxy):
        if inbound.tls is not None:
            server_context(inbound.tls)
    for upstream in egress_of(settings.proxy).upstreams:
        if upstream.protocol == "https":
            client_context(upstream)


def _bind_all(inbounds: list[Inbound], workers: int) -> list[Bound]:
    """The sockets of all inbounds, or of none."""
    bound: list[Bound] = []
    for inbound in inbounds:
        try:
            bound.append(bind(inbound, workers))
        except (OSError, UnicodeError) as error:
            for each in bound:
                each.close()
            raise _port_trouble(inbound.listen, error, setting_of(inbound.name)) from None
    return bound


def _listen(listen: Endpoint, setting: str) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(*listen, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(1024)
        except OSError:
            sock.close()
            raise
        return sock
    except (OSError, UnicodeError) as error:
        raise _port_trouble(listen, error, setting) from None


def _port_trouble(listen: Endpoint, error: OSError | UnicodeError, setting: str) -> Unavailable:
    in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
    variable = f"VPN_{setting.upper().replace('.', '__')}"
    return Unavailable(
        "cannot_listen",
        f"cannot listen on {listen}: {getattr(error, 'strerror', None) or 'not a host name'}",
        f"{'stop what uses it, or ' if in_use else ''}set {setting} (or {variable}) to another address",
    )


def _handle_signals(stop: asyncio.Event) -> None:
    """The first signal stops in good order, the second at once; workers follow when we are gone."""

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number)
