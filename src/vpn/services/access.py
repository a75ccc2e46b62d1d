"""What a user needs to connect: links to every inbound that the user may use."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from vpn.domain.address import pack
from vpn.domain.errors import Conflict, NotFound
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import client_password, method_of
from vpn.domain.user import User
from vpn.links import schemes
from vpn.links.proxy import ProxyLink
from vpn.links.schemes import Link
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.services.groups import GroupService
from vpn.services.user_secrets import UserSecrets
from vpn.settings.server import ServerSettings

# Which links lead to an inbound of which protocol, for users with passwords.
_SCHEMES = {"mixed": ("socks5h", "http"), "socks": ("socks5h",), "http": ("http",)}
_SCHEMES_TLS = {"mixed": ("https",), "socks": (), "http": ("https",)}


class Reach(NamedTuple):
    """Where clients reach an inbound."""

    host: str
    port: int
    guessed: bool
    """Nothing says the host: it is the best guess that can be made here."""


class UserLink(NamedTuple):
    """A user's link to an inbound."""

    inbound: str
    link: Link
    guessed: bool
    """Nothing says the host: it is the best guess that can be made here."""

    @property
    def uri(self) -> str:
        """The link as it is pasted."""
        return schemes.build(self.link)


class UserLinks(NamedTuple):
    """All links of a user."""

    links: tuple[UserLink, ...]
    need_password: tuple[str, ...] = ()
    """Inbounds that have no link here: it would hold the password, which is known only while it is being set."""

    @property
    def uris(self) -> list[str]:
        """The links as they are pasted."""
        return [each.uri for each in self.links]

    @property
    def notice(self) -> str:
        """What to know of the addresses in the links; empty: nothing."""
        return next((address_notice(each.link.host) for each in self.links if each.guessed), "")


class Place(Protocol):
    """What is served, and where."""

    def as_served(self) -> Sequence[Inbound]:
        """All that there are to be, also those that cannot be opened now; one that is open has its real port."""

    @property
    def server(self) -> ServerSettings:
        """How clients reach us."""


class AccessService:
    """Makes users' links."""

    def __init__(self, place: Place, secrets: UserSecrets, groups: GroupService) -> None:
        self._place = place
        self._secrets = secrets
        self._groups = groups

    async def links(self, user: User, *, password: str | None = None, inbound: str = "") -> UserLinks:
        """A user's links to every inbound that the user may use, or to the one named.

        Args:
            password: the user's, in clear, while it is known; without it, there are no links that hold it.

        Raises:
            NotFound: there is no such inbound.
            Conflict: the user may not use it, its links need the password, or nobody knows its port yet.
            Unavailable: the store cannot be read.
        """
        inbounds = self._place.as_served()
        if inbound and all(each.name != inbound for each in inbounds):
            raise NotFound(
                "inbound_unknown", f"there is no inbound {inbound[:64]}", "list them with: vpn inbounds list"
            )
        [limits] = await self._groups.limits_of([user])
        usable = [each for each in inbounds if not limits.inbounds or each.name in limits.inbounds]
        meant = [each for each in usable if not inbound or each.name == inbound]
        if inbound and not meant:
            problem = f"{user.name} may not use the inbound {inbound}"
            raise Conflict("inbound_not_allowed", problem, f"see the limits: vpn users show {user.name}")
        secret = await self._secrets.of(user.number) if any(map(_has_key, meant)) else ""
        several = sum(map(_has_key, usable)) > 1
        links: list[UserLink] = []
        for each in meant:
            place = reach(each, self._place.server)
            # Nobody knows yet which port it will be; or the address is of one link only (fe80::1%eth0).
            if not place.port or "%" in place.host:
                continue
            if _has_key(each):
                name = self._place.server.name or place.host
                name = f"{name} {each.name}" if several else name
                links.append(UserLink(each.name, _shadowsocks(each, place, secret, name), place.guessed))
            elif password is not None:
                made = _proxies(each, place, user.name, password)
                links += [UserLink(each.name, link, place.guessed) for link in made]
        hidden = [] if password is not None else [each.name for each in meant if not _has_key(each)]
        found = UserLinks(tuple(links), tuple(hidden))
        if inbound and found.need_password:
            raise _password_unknown(user, inbound)
        if inbound and not reach(meant[0], self._place.server).port:
            problem = f"nobody knows yet at which port {inbound} will listen: it is any free one"
            raise Conflict("port_unknown", problem, f"start the daemon: vpn serve; or: vpn inbounds show {inbound}")
        return found


def reach(inbound: Inbound, server: ServerSettings) -> Reach:
    """Where clients reach this inbound: as it says, else as the server says, else by a guess."""
    port = inbound.public_port or inbound.listen.port
    said = inbound.public_host or server.public_host
    return Reach(said, port, guessed=False) if said else Reach(reachable_host(inbound.listen.host), port, guessed=True)


def reachable_host(host: str) -> str:
    """An address that a client can use: for "all addresses" (0.0.0.0, ::) the one that leads out of here."""
    packed = pack(host)
    if packed is None or any(packed):
        return host
    family, somewhere = (socket.AF_INET, "192.0.2.1") if len(packed) == 4 else (socket.AF_INET6, "2001:db8::1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))  # a datagram socket sends nothing by connecting
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1" if len(packed) == 4 else "::1"


def address_notice(host: str) -> str:
    """What to know of an address that was guessed."""
    if is_loopback(host):
        return f"{host} is reached from this machine only; what others reach is said by the setting server.public_host"
    return f"{host} is a guess; the address that clients reach is said by the setting server.public_host"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    packed = pack(host)
    if packed is None:
        return host == "localhost"
    return packed[0] == 127 if len(packed) == 4 else int.from_bytes(packed, "big") == 1


def _has_key(inbound: Inbound) -> bool:
    """Whether clients have a key there, and no password."""
    return inbound.protocol == "shadowsocks"


def _shadowsocks(inbound: Inbound, place: Reach, secret: str, name: str) -> ShadowsocksLink:
    method = method_of(inbound.method)
    password = client_password(method, inbound.key, secret)
    return ShadowsocksLink(method.name, password, place.host, place.port, name)


def _proxies(inbound: Inbound, place: Reach, user: str, password: str) -> list[ProxyLink]:
    leading = (_SCHEMES_TLS if inbound.tls else _SCHEMES)[inbound.protocol]
    return [ProxyLink(scheme, place.host, place.port, user, password) for scheme in leading]


def _password_unknown(user: User, inbound: str) -> Conflict:
    problem = f"a link to the inbound {inbound} holds the password, which is known only while it is being set"
    return Conflict("password_unknown", problem, f"set another one, which shows the link: vpn users passwd {user.name}")
