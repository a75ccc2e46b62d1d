"""Users' links, as the API shows them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from vpn.links.schemes import KINDS
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.services.access import UserLink, UserLinks


class LinkView(BaseModel):
    """A link. It holds all that it takes to connect."""

    inbound: str = Field(examples=["phones"])
    kind: str = Field(examples=["shadowsocks"])
    uri: str = Field(examples=["ss://Y2hhY2hhMjAtaWV0Zi1wb2x5MTMwNTpzM2NyZXQ@vpn.example.org:8388#vpn.example.org"])
    host: str
    port: int
    method: str | None = Field(None, description="Of Shadowsocks.", examples=["chacha20-ietf-poly1305"])
    guessed: bool = Field(description="Whether nothing says the host: it is a guess.")

    @classmethod
    def of(cls, link: UserLink) -> LinkView:
        """The view of a link."""
        return cls(
            inbound=link.inbound,
            kind=KINDS[type(link.link)],
            uri=link.uri,
            host=link.link.host,
            port=link.link.port,
            method=link.link.method if isinstance(link.link, ShadowsocksLink) else None,
            guessed=link.guessed,
        )


class LinksView(BaseModel):
    """What a user needs to connect."""

    user: str
    links: list[LinkView]
    need_password: list[str] = Field(
        description="Inbounds without a link here: it would hold the password, which is known only while it is set."
    )
    notice: str | None = Field(None, description="What to know of the addresses; left out: nothing.")
    document: str | None = Field(None, description="All links in the format that was asked for.")

    @classmethod
    def of(cls, user: str, links: UserLinks, document: str | None = None) -> LinksView:
        """The view of a user's links."""
        return cls(
            user=user,
            links=[LinkView.of(each) for each in links.links],
            need_password=list(links.need_password),
            notice=links.notice or None,
            document=document,
        )
