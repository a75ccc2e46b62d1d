"""``vpn subscription``: the URL from which a user's clients fetch their links."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.qr_codes import show_if_it_fits
from vpn.cli.user_links import say_notice

app = typer.Typer(
    help="Show and revoke the URLs from which users' clients fetch their links.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
NoQR = Annotated[bool, typer.Option("--no-qr", help="Do not draw the QR code.")]


@app.command("show")
def show(ctx: typer.Context, name: Name, no_qr: NoQR = False) -> None:
    """Show a user's subscription URL. It is a secret, and opens a page in a browser."""
    _show(ctx.obj, ctx.obj.client().subscription(name), no_qr=no_qr)


@app.command("revoke")
def revoke(ctx: typer.Context, name: Name, no_qr: NoQR = False) -> None:
    """Give a user another URL; the one before leads nowhere at once.

    What was fetched from it stays in force: vpn users renew makes that void, too.
    """
    context: Context = ctx.obj
    found = context.client().revoke_subscription(name)
    context.output.sentence("The URL from before leads nowhere now.")
    _show(context, found, no_qr=no_qr)


def _show(context: Context, found: dict[str, Any], *, no_qr: bool) -> None:
    if not context.output.for_people:
        context.output.record(found)
        return
    outline = {"outline": found["outline"]} if "outline" in found else {}
    formats = {"formats": "?format= " + ", ".join(found["formats"])}
    state = {} if found["enabled"] else {"state": "not served: the setting subscriptions.enabled is off"}
    context.output.record({"user": found["user"], "url": found["url"]} | outline | formats | state)
    say_notice(context, found)
    if not no_qr:
        show_if_it_fits(context, found["url"])
