"""``/api/links``: links that somebody else has made, too."""

from __future__ import annotations

from fastapi import APIRouter, Response

from vpn.api.schemas.links import LinksToParse, NewPicture, ParsedLink, ParsedLinks
from vpn.domain.errors import Invalid
from vpn.links import qr, schemes
from vpn.links.dynamic_key import DynamicKey
from vpn.links.schemes import Link

_TEXT, _SVG, _PNG = "text/plain; charset=utf-8", "image/svg+xml", "image/png"
_PICTURES = {
    "text/plain": {"schema": {"type": "string"}},
    _SVG: {"schema": {"type": "string"}},
    _PNG: {"schema": {"type": "string", "format": "binary"}},
}


def router() -> APIRouter:
    """Links: take them apart, draw them."""
    router = APIRouter(prefix="/api/links", tags=["links"])

    @router.post("/parse")
    def parse_links(given: LinksToParse) -> ParsedLinks:
        """Take links apart: ss, ssconf, vless, trojan, vmess, wireguard, socks5 and http. Nothing is kept."""
        return ParsedLinks(data=[ParsedLink.of(link) for link in _parse(given.links)])

    # Drawing takes up to a fifth of a second: not in the event loop.
    @router.post("/qr", response_class=Response, responses={200: {"content": _PICTURES}})
    def draw_qr_code(new: NewPicture) -> Response:
        """Draw a QR code."""
        match new.picture:
            case "terminal":
                return Response(qr.terminal(new.text), media_type=_TEXT)
            case "svg":
                return Response(qr.svg(new.text), media_type=_SVG)
            case "png":
                return Response(qr.png(new.text), media_type=_PNG)

    return router


def _parse(texts: list[str]) -> list[Link | DynamicKey]:
    found = []
    for number, text in enumerate(texts, 1):
        try:
            found.append(schemes.parse(text))
        except Invalid as error:
            if len(texts) == 1:
                raise
            raise Invalid(error.code, f"link {number}: {error.message}", error.hint) from None
    return found
