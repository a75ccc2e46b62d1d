"""``vpn users link``, ``qr`` and ``renew``: what a user's clients need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.output import Format, one_line, write
from vpn.cli.qr_codes import show_qr_code
from vpn.domain.errors import Invalid, NotFound

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
Inbound = Annotated[str, typer.Option(help="Only to this inbound.", show_default=False)]
URI = "uri"
_ADD = "vpn inbounds add shadowsocks --listen 8388"


def link(
    ctx: typer.Context,
    name: Name,
    inbound: Inbound = "",
    document: Annotated[
        str,
        typer.Option(
            "--format",
            help="uri, or a document for clients: base64, clash, sing-box, sip008, outline, wireguard; "
            "json, yaml, plain and csv tell about the links.",
        ),
    ] = URI,
) -> None:
    """Print the links by which a user connects, each alone on its line. They are secrets."""
    context: Context = ctx.obj
    wanted = "" if document == URI else document
    found = context.client().user_links(name, inbound=inbound, format=wanted)
    if context.output.format in (Format.JSON, Format.YAML):
        context.output.record(found)
        return
    _check_some(found)
    say_notice(context, found)
    if wanted:
        write(found["document"].rstrip("\n"))
    elif context.output.for_people:
        for each in found["links"]:
            write(one_line(each["uri"]))
    else:
        context.output.rows(found["links"], ("uri", "inbound", "kind", "host", "port", "guessed"), empty="")


def draw(
    ctx: typer.Context,
    name: Name,
    inbound: Inbound = "",
    output: Annotated[
        Path | None, typer.Option(help="A file, .svg or .png; left out, it is drawn here.", show_default=False)
    ] = None,
) -> None:
    """Draw the links by which a user connects, to be scanned. They are secrets."""
    context: Context = ctx.obj
    found = context.client().user_links(name, inbound=inbound)
    _check_some(found)
    links = found["links"]
    if output is not None and len(links) > 1:
        names = ", ".join(each["inbound"] for each in links)
        raise Invalid("many_links", f"{name} has {len(links)} links, to {names}", "say which one with --inbound")
    say_notice(context, found)
    for number, each in enumerate(links):
        if len(links) > 1:
            write(("\n" if number else "") + one_line(each["inbound"]))
        show_qr_code(context, each["uri"], output)


def renew(ctx: typer.Context, name: Name) -> None:
    """Give a user another key for Shadowsocks. Links from before are void at once; who came by them is cut."""
    context: Context = ctx.obj
    found = context.client().renew_user_links(name)
    if not context.output.for_people:
        context.output.record(found)
        return
    write(f"{one_line(found['user'])} has another key; links from before are void.")
    say_notice(context, found)
    for each in found["links"]:
        write(one_line(each["uri"]))


def say_notice(context: Context, found: dict[str, Any]) -> None:
    """Say what is to be known of addresses, beside the output: that is to be piped."""
    if found.get("notice") and context.output.for_people:
        print(one_line(found["notice"]), file=sys.stderr)


def _check_some(found: dict[str, Any]) -> None:
    """See whether there is a link to show.

    Raises:
        NotFound: there is none.
    """
    if found["links"]:
        return
    user, hidden = found["user"], ", ".join(found["need_password"])
    if hidden:
        problem = f"a link to {hidden} holds the password, which is known only while it is being set"
        raise NotFound("no_link", problem, f"add an inbound for apps: {_ADD}; or: vpn users passwd {user}")
    hint = f"add one: {_ADD}; or see whether {user} is kept to others: vpn users show {user}"
    raise NotFound("no_link", f"there is no inbound that {user} may use", hint)
