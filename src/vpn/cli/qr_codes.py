"""QR codes on the terminal, and in files."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from vpn.cli.context import Context
from vpn.cli.output import write
from vpn.domain.errors import Invalid, Unavailable

_PICTURES = (".svg", ".png")


def show_if_it_fits(context: Context, text: str) -> None:
    """Draw a QR code on a terminal that is wide enough, and nowhere else."""
    if not sys.stdout.isatty():
        return
    drawn = context.client().draw_qr_code(text, "terminal").decode()
    if max(map(len, drawn.splitlines())) <= shutil.get_terminal_size().columns:
        write(drawn)


def show_qr_code(context: Context, text: str, file: Path | None) -> None:
    """Draw a QR code on the terminal, or into a file that only its owner may read: it holds a secret.

    Raises:
        Invalid: the file is neither .svg nor .png.
        Unavailable: it cannot be written.
    """
    if file is None:
        write(context.client().draw_qr_code(text, "terminal").decode())
        return
    if file.suffix.lower() not in _PICTURES:
        raise Invalid("bad_file", f"{file} is no picture that we draw", "name it .svg or .png")
    picture = context.client().draw_qr_code(text, file.suffix.lower().removeprefix("."))
    try:
        with open(file, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as opened:
            os.fchmod(opened.fileno(), 0o600)  # there may have been a file
            opened.write(picture)
    except OSError as error:
        raise Unavailable("file_unwritable", f"{file}: {error.strerror}", "name a place with space") from None
    context.output.sentence(f"The QR code is in {file}.")
