"""QR codes read back, as a phone would."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.support.programs import find_program

_CELL = b"\0" * 8, b"\xff" * 8


def scan(picture: bytes) -> str:
    """What zbar finds in a picture."""
    done = subprocess.run(
        [find_program("zbarimg"), "--quiet", "--raw", "--oneshot", "-Sdisable", "-Sqrcode.enable", "-"],
        input=picture,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().removesuffix("\n")


def picture_of(lines: Sequence[str]) -> bytes:
    """What a dark terminal shows, as a picture; each character is 8 by 16 pixels."""
    width = max(map(len, lines)) + 4
    rows = []
    for line in ["", *lines, ""]:
        cells = f"  {line}".ljust(width)
        for lit in ("█▀", "█▄"):
            rows += [b"".join(_CELL[cell in lit] for cell in cells)] * 8
    return b"P5 %d %d 255\n" % (width * 8, len(rows)) + b"".join(rows)


def codes_in(output: str) -> list[list[str]]:
    """The lines of each code in what a program has printed."""
    found: list[list[str]] = [[]]
    for line in output.splitlines():
        if line.strip() and set(line) <= set("█▀▄ "):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [code for code in found if code]
