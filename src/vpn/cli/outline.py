"""``vpn outline``: the API that Outline Manager and its like speak."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.output import write

app = typer.Typer(
    help="Let Outline Manager, and bots that speak its API, manage users as access keys.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("enable")
def enable(
    ctx: typer.Context,
    listen: Annotated[
        str | None, typer.Option(help="Where managers connect, e.g. 0.0.0.0:8443; at first 127.0.0.1 and a free port.")
    ] = None,
    inbound: Annotated[str | None, typer.Option(help="The Shadowsocks inbound that new keys lead to.")] = None,
    port: Annotated[int | None, typer.Option(help="Or its port; an inbound is added if none is there.")] = None,
    method: Annotated[str | None, typer.Option(help="Or its method, e.g. chacha20-ietf-poly1305.")] = None,
) -> None:
    """Serve the Outline API, and print the line that Outline Manager takes. Whoever knows it manages all users."""
    context: Context = ctx.obj
    named = {"listen": listen, "inbound": inbound, "port": port, "method": method}
    wish = {name: value for name, value in named.items() if value is not None}
    _show(context, context.client().enable_outline(wish))


@app.command("show")
def show(ctx: typer.Context) -> None:
    """Show the line again, and where new access keys lead to."""
    context: Context = ctx.obj
    setup = context.client().outline()
    if context.output.for_people:
        for name in ("listen", "inbound", "port", "method"):
            write(f"{name:8} {setup[name]}")
        write("")
    _show(context, setup)


@app.command("rotate")
def rotate(ctx: typer.Context) -> None:
    """Serve the Outline API below another secret path: whoever has the old line is shut out."""
    context: Context = ctx.obj
    _show(context, context.client().rotate_outline())


@app.command("disable")
def disable(ctx: typer.Context) -> None:
    """Serve the Outline API no longer. Access keys go on; enabling it again brings back the same line."""
    context: Context = ctx.obj
    context.client().disable_outline()
    context.output.sentence("The Outline API is not served any more. Users and their access keys stay.")


def _show(context: Context, setup: dict[str, Any]) -> None:
    """The line alone on a line of its own, so that it is copied whole; what else is to be known before it."""
    if not context.output.for_people:
        context.output.record(setup)
        return
    for notice in setup["notices"]:
        write(notice)
    if setup["notices"]:
        write("")
    write("Paste this into Outline Manager (Add server, Set up Outline anywhere):\n")
    write(setup["line"])
