"""Subscriptions: a URL of its own for every user, from which clients fetch what they need again and again.

The URL holds a token, which is all that it takes: it is as unguessable as a password, sealed in the store, found by
its digest, and void as soon as there is another one.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from vpn.domain.address import Endpoint
from vpn.domain.random_text import random_text
from vpn.domain.standing import expires
from vpn.domain.user import User
from vpn.links.documents import outline
from vpn.links.documents.formats import Format
from vpn.links.documents.nodes import Node
from vpn.links.documents.profile import Profile
from vpn.links.documents.profile import Usage as Used
from vpn.links.dynamic_key import HTTPS, DynamicKey
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.services.access import AccessService, UserLinks, address_notice, reachable_host
from vpn.services.usage import UsageService
from vpn.settings.server import ServerSettings
from vpn.settings.subscriptions import SubscriptionSettings
from vpn.store.sealed import SecretStore, number_of, owner_of
from vpn.store.users import UserStore

KIND = "subscription"
PREFIX = "/sub/"
"""Where subscriptions are served; nothing else is."""
_TOKEN = 32  # characters: 185 bits
_IS_TOKEN = re.compile(rf"[A-Za-z0-9]{{{_TOKEN}}}", re.ASCII)
_SHOWS_NAMES = frozenset({"base64", "plain", "clash", "sing-box"})
_NOWHERE = ShadowsocksLink("chacha20-ietf-poly1305", "nowhere", "127.0.0.1", 1)
_KEPT_OUT = frozenset({"user_disabled", "user_expired", "over_quota"})
"""States in which there is nothing to connect to; who may not connect at this hour only keeps the servers."""
_WHY = {
    "user_disabled": "Your access is switched off",
    "user_expired": "Your access has expired",
    "over_quota": "Your data volume is used up",
    "outside_hours": "You may not connect at this hour",
}


class Listening(NamedTuple):
    """How the API is reached from here."""

    endpoint: Endpoint
    tls: bool = False


class Base(NamedTuple):
    """Where subscriptions are fetched."""

    url: str
    """Without a slash at its end."""
    notice: str
    """What to know of it; empty: nothing."""


class Subscription(NamedTuple):
    """What a user's clients are told at a moment."""

    user: User
    state: str
    """``active``, or why the user may not connect."""
    links: UserLinks
    profile: Profile
    period_end: datetime | None
    """When something will count no longer; None: never."""

    @property
    def kept_out(self) -> bool:
        """Whether there is nothing to connect to."""
        return self.state in _KEPT_OUT


class Place(Protocol):
    """How clients reach us, as the settings in force say."""

    @property
    def server(self) -> ServerSettings:
        """By which address."""

    @property
    def subscriptions(self) -> SubscriptionSettings:
        """And how subscriptions are served."""


class SubscriptionService:
    """Makes, finds and revokes subscriptions, and says what is in them.

    Args:
        place: says how clients reach us.
        listening: where the API listens, as the settings say.
    """

    def __init__(
        self,
        secrets: SecretStore,
        users: UserStore,
        access: AccessService,
        usage: UsageService,
        place: Place,
        listening: Listening,
    ) -> None:
        self._secrets = secrets
        self._users = users
        self._access = access
        self._usage = usage
        self._place = place
        self._listening = listening

    @property
    def settings(self) -> SubscriptionSettings:
        """Those in force."""
        return self._place.subscriptions

    def listens(self, endpoint: Endpoint) -> None:
        """The API listens there, as it turned out."""
        self._listening = self._listening._replace(endpoint=endpoint)

    @property
    def base(self) -> Base:
        """Where subscriptions are fetched: where the settings say, else by the best guess."""
        if self.settings.url:
            return Base(self.settings.url, "")
        endpoint, tls = self._listening
        said = self._place.server.public_host
        host = said or reachable_host(endpoint.host)
        url = f"{'https' if tls else 'http'}://{Endpoint(host, endpoint.port)}"
        if not said:
            return Base(url, f"{address_notice(host)}, or subscriptions.url")
        return Base(url, f"{url} is a guess; where clients reach the API is said by the setting subscriptions.url")

    async def token(self, user: User) -> str:
        """A user's token; who has none gets one.

        Raises:
            Unavailable: the store cannot be reached.
        """
        owner = owner_of(user.number)
        return (await self._secrets.ensure(KIND, [owner], make_token))[owner]

    async def revoke(self, user: User) -> str:
        """Give a user another token; the one before is void when this returns."""
        token = make_token()
        await self._secrets.put(owner_of(user.number), KIND, token)
        return token

    def url(self, token: str, base: str = "") -> str:
        """Where a subscription is fetched; `base` instead of the one that the settings say."""
        return f"{base or self.base.url}{PREFIX}{token}"

    def dynamic_key(self, url: str) -> DynamicKey | None:
        """What Outline takes for the subscription at a URL; None: it fetches by HTTPS only."""
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname is None:
            return None
        return DynamicKey(parts.hostname, f"{parts.path}?format=outline", parts.port or HTTPS, self.title)

    @property
    def title(self) -> str:
        """What clients call it."""
        server = self._place.server
        return self.settings.title or server.name or server.public_host or "VPN"

    async def find(self, token: str) -> User | None:
        """Whose token this is, or None."""
        if not _IS_TOKEN.fullmatch(token):
            return None
        owner = await self._secrets.owner(KIND, token)
        return None if owner is None else await self._users.numbered(number_of(owner))

    async def content(self, user: User, page: str = "") -> Subscription:
        """What a user's clients are to be told now; `page` is the URL of the page for people.

        Raises:
            Unavailable: the store cannot be read.
        """
        standing, up, down = await self._usage.present(user)
        links = await self._access.links(user)
        ends = expires(user, standing.limits)
        settings = self.settings
        usage = Used(
            upload=up,
            download=down,
            total=standing.limits.data_limit or None,
            expires=None if ends is None else int(ends.timestamp()),
        )
        profile = Profile(
            title=self.title,
            usage=usage,
            update_interval=settings.update_interval,
            web_page=page,
            support=settings.support_url,
            announce=why(standing.state),
        )
        return Subscription(user, standing.state, links, profile, standing.until)


def why(state: str) -> str:
    """Why a user may not connect, in words to the user; empty: the user may."""
    return "" if state == "active" else _WHY.get(state, "You may not connect just now")


def document(subscription: Subscription, format: Format) -> str:
    """A subscription in a format.

    Who has nothing to connect to gets one server that leads nowhere and is called by the reason, so that the client
    shows it; what knows errors (Outline), or only servers of ours (SIP008), gets an error, or none.

    Raises:
        NotFound: there is nothing that the format can say.
    """
    usage = subscription.profile.usage
    if not subscription.kept_out:
        return format.write([Node(each.link.name, each.link) for each in subscription.links.links], usage)
    reason = why(subscription.state)
    if format.name == "outline":
        return outline.write_error(reason, subscription.profile.support)
    return format.write([Node(reason, _NOWHERE)] if format.name in _SHOWS_NAMES else [], usage)


def make_token() -> str:
    """A new token, of 185 bits."""
    return random_text(_TOKEN)
