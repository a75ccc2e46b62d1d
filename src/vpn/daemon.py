"""Builds everything and wires it: the daemon, and the same API in one process for a single request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
import uvloop

from vpn import logs, privileges
from vpn.api import in_process
from vpn.api.auth import trusted
from vpn.api.certificate import APICertificate
from vpn.api.outline.listener import OutlineListener
from vpn.api.server import APIServer
from vpn.data_directory import DataDirectory
from vpn.domain.address import Endpoint
from vpn.domain.errors import Unavailable
from vpn.domain.inbound import Inbound
from vpn.house import WELCOMED, House, build
from vpn.observation import Observation
from vpn.proxy import salts
from vpn.proxy.binding import Bound
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.surroundings import Daemon
from vpn.services.authentication import Authentication
from vpn.services.data_plane import check_files
from vpn.services.outline.service import Gate
from vpn.services.sockets import bind_all, listen_on, port_trouble
from vpn.services.spare_memory import share_heap
from vpn.services.users import Admission
from vpn.settings.model import Settings
from vpn.settings.plane import inbounds_of
from vpn.signals import reload_on_hangup, stop_on_signals

FIRST_USER = "me"
_FIRST_NOTE = "made at the first start"
_RETRY = 1.0  # seconds until what could not be noted is tried again
_COMMAND = 3.0  # seconds that a command without a daemon may still have the data directory


class Announcement(NamedTuple):
    """What a person needs to know once the daemon serves."""

    inbounds: list[Inbound]
    api: Endpoint
    data_directory: Path
    token_file: Path
    first_links: list[str]
    """The links of the first user; only at the first start."""
    unserved: Mapping[str, str] = {}
    """Why managed inbounds are not served, by their names."""
    api_tls: bool = False
    """Whether the API is reached in TLS."""


class _Opened(NamedTuple):
    """What was opened with the privileges that we were started with, and how we stand now."""

    api_socket: socket.socket
    bound: list[Bound]
    standing: privileges.Standing
    observation: Observation
    certificate: APICertificate | None


def serve(reread: Callable[[], Settings], announce: Callable[[Announcement], None]) -> None:
    """Run the daemon until SIGINT or SIGTERM.

    Args:
        reread: reads the settings, now and whenever they are to be read again.
        announce: called once everything serves.

    Raises:
        DomainError: it cannot start; nothing is left half-made.
    """
    settings = reread()
    os.umask(0o077)
    share_heap()
    observation = Observation(settings)
    observation.log()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # workers inherit it
    # Ports first: if one is taken, nothing has been written yet. The account next: what is written is its own,
    # and the loop may have threads.
    api_socket = listen_on(settings.api.listen, partial(port_trouble, setting="api.listen"))
    bound = bind_all(inbounds_of(settings.proxy), settings.proxy.workers)
    standing = privileges.settle(settings.process.user, settings.data_dir)
    check_files(settings.proxy)  # as who will read them
    tls = settings.api.tls
    certificate = APICertificate(str(tls.certificate), str(tls.key)) if tls is not None else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(reread, settings, announce, _Opened(api_socket, bound, standing, observation, certificate)))


def call_in_process(settings: Settings, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    """Answer one API request in this process, as the daemon would.

    Raises:
        Conflict: another process has the data directory.
        DomainError: the data directory or the database cannot be used.
    """
    os.umask(0o077)
    logs.configure(level="critical", format=settings.log.format)  # the command itself says what went wrong
    privileges.follow_owner(settings.data_dir)

    async def answer() -> tuple[int, bytes]:
        with DataDirectory(settings.data_dir, patience=1) as directory:
            async with build(settings, directory, lambda: settings, Observation(settings)) as house:
                return await in_process.call(house.app, method, target, body)

    return asyncio.run(answer())


async def _serve(
    reread: Callable[[], Settings], settings: Settings, announce: Callable[[Announcement], None], opened: _Opened
) -> None:
    api_socket, bound, standing, observation, certificate = opened
    log = structlog.get_logger("daemon")
    stop = asyncio.Event()
    stop_on_signals(stop)
    observation.start()
    with api_socket, DataDirectory(settings.data_dir, patience=_COMMAND) as directory:
        async with build(settings, directory, reread, observation) as house:
            authentication = Authentication(house.user_store, house.bans)
            meter = await house.ledger.open(settings.proxy.workers, await house.enforcement.find_zones())
            supervisor = Supervisor(
                house.data_plane.complete(bound),
                settings.proxy.workers,
                Daemon(authentication.verify, house.bans.hear, house.feed, structlog.get_logger("proxy")),
                max_connections=settings.proxy.max_connections,
                meter=meter,
                journals=await house.writer.open(settings.proxy.workers),
                salts=salts.open_file(directory.salts, settings.proxy.workers),
            )
            house.watch(supervisor)
            house.subscriptions.listens(Endpoint(*api_socket.getsockname()[:2]))
            observation.watch(house.feed, house.data_plane, supervisor)
            unix_socket = directory.listen()
            servers = [_over_tcp(house, api_socket, certificate), APIServer(trusted(house.app), unix_socket)]
            outline = OutlineListener(house.outline_app)
            tasks: list[asyncio.Task[None]] = []
            try:
                await house.bans.start(supervisor.ban)
                await _start(supervisor, house)
                tasks += [asyncio.create_task(loop) for loop in house.loops()]
                tasks.append(asyncio.create_task(observation.run(house.metrics.figures)))
                reload_on_hangup(house.data_plane, observation)
                first = await _welcome(house)
                links = (await house.access.links(first.user, password=first.password)).uris if first else []
                for server in servers:
                    server.start()
                await house.outline.run(Gate(outline.open, outline.close))
                log.log(standing.level, standing.event, **standing.fields)
                shown = _announcement(house, directory, api_socket, links)._replace(api_tls=certificate is not None)
                if not await _announce(announce, shown, house):
                    tasks.append(asyncio.create_task(_note_welcome_later(house)))
                listening = [str(each.listen) for each in house.data_plane.inbounds()]
                gc.freeze()  # looking for garbage among all that stays would hold up the API for a tenth of a second
                log.info("ready", proxy=listening, workers=settings.proxy.workers)
                await stop.wait()
                log.info("stopping", sessions=supervisor.totals().active, drain=settings.proxy.drain_timeout)
                await house.data_plane.rest()
                await supervisor.stop(settings.proxy.drain_timeout)
            finally:
                supervisor.kill()
                house.streams.close()  # they would be waited for
                await outline.close()
                for server in servers:
                    await server.stop()
                authentication.close()
                await _end(tasks)
                await house.close()
                await observation.close()
                directory.api_socket.unlink(missing_ok=True)
            log.info("stopped")


def _over_tcp(house: House, sock: socket.socket, certificate: APICertificate | None) -> APIServer:
    """The API's listener besides its Unix socket."""
    if certificate is None:
        return APIServer(house.app, sock)
    house.data_plane.tell(lambda _: certificate.renew())
    return APIServer(house.app, sock, tls=certificate.context)


async def _start(supervisor: Supervisor, house: House) -> None:
    try:
        rules = await house.policy.start(supervisor.publish_rules)
        await supervisor.start(await house.snapshots.build(), rules)
    except TimeoutError:
        raise Unavailable(
            "workers_failed", "the data-plane workers did not start in time", "the lines above may say why"
        ) from None


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        except Exception as error:  # what is behind us is to be closed all the same
            structlog.get_logger("daemon").error("defect in what goes on beside", exc_info=error)


async def _welcome(house: House) -> Admission | None:
    """At the very first start, make a first user, unless there are users already."""
    if await house.facts.get(WELCOMED) is not None:
        return None
    users, count = await house.users.page(page=1, page_size=1)
    if count == 0:
        return await house.users.add(FIRST_USER, note=_FIRST_NOTE)
    if count == 1 and users[0].note == _FIRST_NOTE:
        # Made at a start that did not get as far as to show the password.
        return await house.users.set_password(FIRST_USER)
    return None


async def _announce(announce: Callable[[Announcement], None], announcement: Announcement, house: House) -> bool:
    """Show the person what there is; the first user counts as shown only then. False: that is still to be noted."""
    try:
        announce(announcement)
    except OSError as error:
        structlog.get_logger("daemon").warning("nothing can be printed", reason=error.strerror)
        return True
    try:
        await _note_welcome(house)
    except Unavailable as error:
        event = "that the first user was shown cannot be noted now"
        structlog.get_logger("daemon").warning(event, reason=error.message)
        return False
    return True


async def _note_welcome_later(house: House) -> None:
    """Note it once the store can be reached: the next start would make a new password otherwise."""
    while True:
        await asyncio.sleep(_RETRY)
        with contextlib.suppress(Unavailable):
            return await _note_welcome(house)


async def _note_welcome(house: House) -> None:
    if await house.facts.get(WELCOMED) is None:
        await house.facts.put(WELCOMED, b"")


def _announcement(
    house: House, directory: DataDirectory, api_socket: socket.socket, first_links: list[str]
) -> Announcement:
    return Announcement(
        inbounds=list(house.data_plane.inbounds()),
        api=Endpoint(*api_socket.getsockname()[:2]),
        data_directory=directory.path,
        token_file=directory.token,
        first_links=first_links,
        unserved=house.data_plane.unserved,
    )
