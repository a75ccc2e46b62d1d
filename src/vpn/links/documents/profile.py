"""What a subscription says of itself, in the headers that clients read."""

from __future__ import annotations

import base64
import re

import msgspec

from vpn.domain.errors import Invalid
from vpn.links.uri import encode

LONGEST_TITLE = 25
_URL = re.compile(r"[!-~]*", re.ASCII)  # what a header and a URL may both have


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has used, and may use."""

    upload: int = 0
    """Bytes, from the user."""
    download: int = 0
    """Bytes, to the user."""
    total: int | None = None
    """Bytes in both directions; None: without limit."""
    expires: int | None = None
    """Seconds since 1970; None: never."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription, as clients list it. URLs are empty where there is none."""

    title: str
    usage: Usage = Usage()
    update_interval: int = 12
    """Hours until clients fetch it again."""
    web_page: str = ""
    support: str = ""
    announce: str = ""
    """A word to the user."""

    def __post_init__(self) -> None:
        for url in (self.web_page, self.support):
            if not _URL.fullmatch(url):
                raise Invalid("bad_url", "this is no URL: it has characters that none has", "percent-encode it")


def headers(profile: Profile, extension: str = "") -> dict[str, str]:
    """The headers of an answer; with an extension, clients and browsers take it for a file of that kind.

    Where nothing is limited, 0 is said: some clients show nothing at all when a number is missing.
    """
    usage = profile.usage
    numbers = {
        "upload": usage.upload,
        "download": usage.download,
        "total": usage.total or 0,
        "expire": usage.expires or 0,
    }
    found = {
        "subscription-userinfo": "; ".join(f"{key}={number}" for key, number in numbers.items()),
        "profile-update-interval": str(profile.update_interval),
        "profile-title": _plain_or_base64(profile.title[:LONGEST_TITLE]),
        "profile-web-page-url": profile.web_page,
        "support-url": profile.support,
        "announce": _plain_or_base64(profile.announce),
    }
    if extension:
        found["content-disposition"] = disposition(profile.title, extension)
    return {name: value for name, value in found.items() if value}


def disposition(title: str, extension: str) -> str:
    """The value of Content-Disposition for a file of this name (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", title).strip("-.") or "subscription"
    exact = encode(re.sub(r"[/\\\0]", "-", title).strip(". ") or plain)
    return f"attachment; filename=\"{plain}.{extension}\"; filename*=UTF-8''{exact}.{extension}"


def _plain_or_base64(text: str) -> str:
    plain = text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("base64:")
    return text if plain else f"base64:{base64.b64encode(text.encode()).decode()}"
