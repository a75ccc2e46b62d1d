"""The listening sockets of what is to be served: those that are open already where that can be, else new ones."""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from vpn.domain.address import Endpoint
from vpn.domain.errors import Unavailable
from vpn.domain.inbound import Inbound
from vpn.proxy.binding import PACKETS, Bound, bind
from vpn.settings.plane import setting_of

_TRIES = 50  # to find a port that is free
_QUIET = range(10_000, 32_768)  # from there on, Linux takes ports for connections that go out

Plan = list[tuple[Bound, Inbound]]
"""Sockets, and what they are to serve."""


class OpenedSockets(NamedTuple):
    """What could be opened, and what could not."""

    plan: Plan
    problems: dict[str, str]
    """Why managed inbounds have no sockets, by their names."""


def bind_all(inbounds: Sequence[Inbound], workers: int) -> list[Bound]:
    """The sockets of all inbounds, or of none.

    Raises:
        Unavailable: an address cannot be listened on.
    """
    bound: list[Bound] = []
    for inbound in inbounds:
        try:
            bound.append(bind(inbound, workers))
        except (OSError, ValueError) as error:
            for each in bound:
                each.close()
            raise _trouble(inbound, error) from None
    return bound


def _trouble(inbound: Inbound, error: OSError | ValueError) -> Unavailable:
    if inbound.managed:
        return listen_trouble(inbound.listen, error, "choose another address, with --listen HOST:PORT")
    return port_trouble(inbound.listen, error, setting_of(inbound.name))


def port_trouble(listen: Endpoint, error: OSError | ValueError, setting: str) -> Unavailable:
    """An address of the settings that cannot be listened on, in words."""
    variable = f"VPN_{setting.upper().replace('.', '__')}"
    return listen_trouble(listen, error, f"set {setting} (or {variable}) to another address")


def listen_trouble(listen: Endpoint, error: OSError | ValueError, hint: str) -> Unavailable:
    """An address that cannot be listened on, in words."""
    number = error.errno if isinstance(error, OSError) else None
    # Those who are still on an inbound that was removed have its socket for datagrams; it cannot be shared.
    datagrams = str(getattr(error, "strerror", None)).endswith(PACKETS)
    draining = " (an inbound that was removed keeps it for proxy.drain_timeout seconds: then try again)"
    ways_out = {
        errno.EADDRINUSE: f"stop what uses it{draining if datagrams else ''}, or ",
        errno.EACCES: "start as root with process.user set, which opens low ports and drops the rest, or ",
    }
    return Unavailable(
        "cannot_listen",
        f"cannot listen on {listen}: {getattr(error, 'strerror', None) or 'not a host name'}",
        f"{ways_out.get(number or 0, '')}{hint}",
    )


def open_sockets(
    served: Sequence[Bound], wanted: Sequence[Inbound], workers: int, required: str | None = None
) -> OpenedSockets:
    """Sockets for what is wanted.

    Args:
        served: what is open.
        required: the managed inbound that must be opened. The others need not, those of the settings must.

    Raises:
        Unavailable: one that must cannot be opened; nothing new is open then.
    """
    kept = _kept(served, wanted)
    fresh: dict[str, Bound] = {}
    problems: dict[str, str] = {}
    for inbound in wanted:
        try:
            if inbound.name in kept:
                _prepare(kept[inbound.name], inbound)
            else:
                [fresh[inbound.name]] = bind_all([inbound], workers)
        except Unavailable as error:
            if not inbound.managed or inbound.name == required:
                for bound in fresh.values():
                    bound.close()
                for bound in kept.values():
                    bound.amend(bound.wanted)  # without sockets that are not needed now
                raise
            kept.pop(inbound.name, None)
            problems[inbound.name] = error.message
    opened = kept | fresh
    return OpenedSockets([(opened[inbound.name], inbound) for inbound in wanted if inbound.name in opened], problems)


def _kept(served: Sequence[Bound], wanted: Sequence[Inbound]) -> dict[str, Bound]:
    """What is open already for what is wanted, by name. A socket is for one inbound: best for that of its name."""
    kept: dict[str, Bound] = {}
    for same_name in (True, False):
        for inbound in wanted:
            for bound in served:
                is_it = bound.wanted.name == inbound.name if same_name else inbound.listen.port != 0
                if is_it and bound.wanted.listen == inbound.listen and bound not in kept.values():
                    kept.setdefault(inbound.name, bound)
    return kept


def _prepare(bound: Bound, inbound: Inbound) -> None:
    try:
        bound.prepare(inbound)
    except OSError as error:
        raise _trouble(inbound, error) from None


def amended(plan: Plan) -> list[Bound]:
    """The sockets, serving what they are wanted for."""
    for bound, inbound in plan:
        bound.amend(inbound)
    return [bound for bound, _ in plan]


def close_new(plan: Plan, served: Sequence[Bound]) -> None:
    """Close what was opened for a plan that is given up."""
    for bound, _ in plan:
        if bound in served:
            bound.amend(bound.wanted)
        else:
            bound.close()


def listen_on(listen: Endpoint, trouble: Callable[[Endpoint, OSError | ValueError], Unavailable]) -> socket.socket:
    """A listening socket.

    Raises:
        Unavailable: what `trouble` makes of it, where the address cannot be listened on.
    """
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
    except (OSError, ValueError) as error:
        raise trouble(listen, error) from None


def free_port(host: str) -> int:
    """A port that nobody has just now, neither for TCP nor for UDP, and that no outgoing connection takes by chance.

    Raises:
        Unavailable: the host is none of this machine's.
    """
    with listen_on(Endpoint(host, 0), partial(listen_trouble, hint="name an address of this machine")) as probe:
        family, address = probe.family, probe.getsockname()[0]
    for _ in range(_TRIES):
        port = _QUIET.start + secrets.randbelow(len(_QUIET))
        stream, datagrams = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
        with stream, datagrams, contextlib.suppress(OSError):
            stream.bind((address, port))
            datagrams.bind((address, port))
            return port
    raise Unavailable("no_free_port", f"no free port was found on {host}", "name one that is free")
