"""Links, as the API takes and shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from vpn.links import schemes
from vpn.links.dynamic_key import DynamicKey
from vpn.links.schemes import KINDS, Link

MOST_LINKS = 1000
LONGEST = 10_000
# What a link is, the links say, in words for a person. Here nonsense is kept away.
Text = Annotated[str, Field(max_length=LONGEST)]
Picture = Literal["terminal", "svg", "png"]
_EXAMPLE = "ss://Y2hhY2hhMjAtaWV0Zi1wb2x5MTMwNTpzZWNyZXQ@vpn.example.org:8388#home"


class LinksToParse(BaseModel):
    """Links to take apart."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"links": [_EXAMPLE]}]})
    links: list[Text] = Field(
        min_length=1, max_length=MOST_LINKS, description="Links, or the texts of WireGuard configurations."
    )


class ParsedLink(BaseModel):
    """What a link says."""

    kind: str = Field(examples=["shadowsocks"])
    link: str = Field(description="The same link as we write it.", examples=[_EXAMPLE])
    fields: dict[str, Any] = Field(
        examples=[{"method": "chacha20-ietf-poly1305", "password": "secret", "host": "vpn.example.org", "port": 8388}]
    )

    @classmethod
    def of(cls, link: Link | DynamicKey) -> ParsedLink:
        """The view of a link."""
        return cls(kind=KINDS[type(link)], link=schemes.build(link), fields=msgspec.to_builtins(link))


class ParsedLinks(BaseModel):
    """What links say, in their order."""

    data: list[ParsedLink]


class NewPicture(BaseModel):
    """A QR code to draw."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": _EXAMPLE, "picture": "svg"}]})
    text: Text = Field(description="A link, or any other text of at most 2,953 bytes.")
    picture: Picture = Field("png", description="`terminal` is text in half blocks, for a dark background.")
