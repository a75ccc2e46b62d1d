import zlib

import pytest

from tests.support.programs import find_program, run_program
from tests.support.qr_codes import picture_of, scan
from vpn.domain.errors import Invalid
from vpn.links import qr

LINK = "ss://Y2hhY2hhMjAtaWV0Zi1wb2x5MTMwNTpzZWNyZXQ@[2001:db8::1]:8388/?outline=1#my%20phone"
LINKS = pytest.mark.parametrize(
    "text", [LINK, "x", LINK + "%20" * 300, "Zürich 漢字\nsecond line", "a" * qr.LONGEST], ids=len
)


@LINKS
def test_a_png_is_read(text):
    picture = qr.png(text)
    assert picture.startswith(b"\x89PNG")
    assert scan(picture) == text


@LINKS
def test_a_terminal_is_read(text):
    assert scan(picture_of(qr.terminal(text).split("\n"))) == text


def test_a_svg_is_read(tmp_path):
    find_program("rsvg-convert")
    (tmp_path / "x.svg").write_text(qr.svg(LINK))
    assert run_program("rsvg-convert", "-o", str(tmp_path / "x.png"), str(tmp_path / "x.svg")).code == 0
    assert scan((tmp_path / "x.png").read_bytes()) == LINK


def test_a_svg_is_a_document():
    text = qr.svg(LINK)
    assert text.startswith("<?xml")
    assert 'fill="#fff"' in text


def test_light_is_drawn_and_all_around():
    lines = qr.terminal("x").split("\n")
    assert set("".join(lines)) <= set("█▀▄ ")
    assert {len(line) for line in lines} == {21 + 2 * qr.QUIET}
    assert lines[0] == lines[1] == "█" * 29
    assert lines[-1] == "▀" * 29
    assert all(line[:4] + line[-4:] == "█" * 8 for line in lines[:-1])


def test_what_does_not_fit():
    for text in ("", "a" * (qr.LONGEST + 1), "\ud800", zlib.compress(b"").hex() * 500):
        for draw in (qr.terminal, qr.svg, qr.png):
            with pytest.raises(Invalid):
                draw(text)
