"""QR codes, for terminals, browsers and files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from vpn.domain.errors import Invalid

if TYPE_CHECKING:
    import segno

LONGEST = 2953
"""Bytes that the largest code holds."""
QUIET = 4
"""Modules of light around a code that the standard (ISO/IEC 18004) asks for."""
_SCALE = 8  # pixels of a module
# Two rows of modules in one of characters. Terminals mostly write light on dark, so what is light is drawn.
_BLOCKS = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}


def terminal(text: str) -> str:
    """A code of half blocks, to be looked at on a dark background; most scanners read it on a light one, too.

    Raises:
        Invalid: the text is empty, or too long.
    """
    rows = [[bool(module) for module in row] for row in _code(text).matrix_iter(border=QUIET)]
    if len(rows) % 2:
        rows.append([True] * len(rows[0]))  # the half of a line of characters that is not there: the background
    lines = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join("".join(_BLOCKS[pair] for pair in zip(*line, strict=True)) for line in lines)


def svg(text: str) -> str:
    """A code as an SVG document, dark on white whatever is behind it.

    Raises:
        Invalid: the text is empty, or too long.
    """
    made = io.BytesIO()
    _code(text).save(made, kind="svg", border=QUIET, scale=_SCALE, dark="#000", light="#fff")
    return made.getvalue().decode()


def png(text: str) -> bytes:
    """A code as a PNG picture.

    Raises:
        Invalid: the text is empty, or too long.
    """
    made = io.BytesIO()
    _code(text).save(made, kind="png", border=QUIET, scale=_SCALE)
    return made.getvalue()


def _code(text: str) -> segno.QRCode:
    """The smallest code that stands 15 % of damage; where that is too much, 7 %. What is left over makes it better."""
    import segno
    from segno.encoder import DataOverflowError

    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise Invalid("bad_text", "this is no Unicode text", "leave out what no text can hold") from None
    if not raw:
        raise Invalid("bad_text", "there is nothing to make a QR code of", "give a link")
    for level in ("m", "l"):
        try:
            return segno.make(text, error=level, encoding="utf-8", micro=False)
        except DataOverflowError:
            continue
    raise Invalid("too_long", f"{len(raw)} bytes do not fit in a QR code", f"it holds up to {LONGEST}")
