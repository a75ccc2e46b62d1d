"""The settings of subscriptions."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from vpn.domain.address import pack
from vpn.domain.hostname import is_hostname
from vpn.settings.values import Networks, Section

_IN_A_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*", re.ASCII)
_IN_A_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*", re.ASCII)


def _check_base(value: str) -> str:
    """A URL that something can be appended to."""
    if not value:
        return value
    problem = "a URL as https://vpn.example.org or https://example.org/vpn, with no user and nothing after the path"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(problem) from None
    named = is_hostname(host) or pack(host) is not None
    if parts.scheme not in ("http", "https") or not named or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(problem)
    if not (_IN_A_URL.fullmatch(value) and _IN_A_PATH.fullmatch(parts.path)) or value.endswith(("?", "#")):
        raise ValueError(problem)
    return value.rstrip("/")


def _check_link(value: str) -> str:
    if value and not (_IN_A_URL.fullmatch(value) and value.startswith(("https://", "http://", "mailto:", "tg://"))):
        raise ValueError("a link that begins with https://, http://, mailto: or tg://")
    return value


PublicURL = Annotated[str, Field(max_length=500), AfterValidator(_check_base)]
Link = Annotated[str, Field(max_length=500), AfterValidator(_check_link)]


class SubscriptionSettings(Section):
    """URLs from which users' clients fetch their links, below `/sub/` where the API listens."""

    enabled: bool = Field(True, description="Whether they are served.")
    url: PublicURL = Field(
        "",
        description="What the URLs begin with, e.g. https://vpn.example.org, where a web server hands `/sub/` on to "
        "the API; empty: `server.public_host` and the API's port, or a guess, and what shows URLs says so.",
    )
    title: str = Field("", max_length=64, description="What clients call it; empty: the server's name, or its host.")
    support_url: Link = Field("", description="Where users find help; clients and the page show it.")
    update_interval: int = Field(12, ge=1, le=8760, description="Hours after which clients fetch it again.")
    rate: int = Field(60, ge=1, le=100_000, description="Requests a minute from one address, or IPv6 /64.")
    total_rate: int = Field(
        1200, ge=1, le=1_000_000, description="Requests a minute from all together that have not shown a right URL yet."
    )
    trusted_proxies: Networks = Field(
        default_factory=list,
        description="Web servers before the API, whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
