"""``vpn links``: what is in a link, and its QR code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.output import write
from vpn.cli.qr_codes import show_qr_code
from vpn.domain.errors import Invalid, Unavailable

app = typer.Typer(help="Look into links of any kind, and draw them.", no_args_is_help=True, rich_markup_mode=None)

LARGEST = 512 * 1024  # characters read from standard input
_STDIN = "-"


@app.command("parse")
def parse(
    ctx: typer.Context,
    link: Annotated[
        str, typer.Argument(help="A link; - or nothing: links on standard input, one a line.", show_default=False)
    ] = _STDIN,
) -> None:
    """Show what is in links: ss, ssconf, vless, trojan, vmess, wireguard, socks5, http. Passwords are shown."""
    context: Context = ctx.obj
    parsed = context.client().parse_links(_read_links() if link == _STDIN else [link])
    if not context.output.for_people:
        if link == _STDIN:
            context.output.stream(parsed)
        else:
            context.output.record(parsed[0])
        return
    for number, each in enumerate(parsed):
        if number:
            write("")
        context.output.record(_shown(each))


@app.command("qr")
def draw(
    ctx: typer.Context,
    link: Annotated[str, typer.Argument(help="A link, or any text; -: from standard input.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option(help="A file, .svg or .png; left out, it is drawn here.", show_default=False)
    ] = None,
) -> None:
    """Draw the QR code of a link."""
    show_qr_code(ctx.obj, _read().strip() if link == _STDIN else link, output)


def _read_links() -> list[str]:
    text = _read()
    if text.lstrip()[:11].lower() == "[interface]":
        return [text]  # a WireGuard configuration, which has many lines
    links = [line for line in map(str.strip, text.splitlines()) if line]
    if not links:
        raise Invalid("no_links", "there is no link on standard input", "write one in each line")
    return links


def _read() -> str:
    try:
        text = sys.stdin.read(LARGEST + 1)
        text.encode()  # in some locales what is no UTF-8 is read all the same
    except UnicodeError:
        raise Invalid("bad_input", "standard input is not UTF-8", "write links, one a line") from None
    except OSError as error:
        raise Unavailable("input_failed", f"standard input: {error.strerror}", "name the link instead") from None
    if len(text) > LARGEST:
        raise Invalid("too_large", f"there are more than {LARGEST} characters on standard input", "give fewer links")
    return text


def _shown(parsed: dict[str, Any]) -> dict[str, Any]:
    """What is said, in one level: neither nothing nor empty."""
    fields: dict[str, Any] = {"kind": parsed["kind"]}
    for name, value in parsed["fields"].items():
        within = value if isinstance(value, dict) else {"": value}
        for inner, each in within.items():
            if each:
                fields[f"{name} {inner}".strip()] = ", ".join(each) if isinstance(each, list) else each
    return fields | {"link": parsed["link"]}
