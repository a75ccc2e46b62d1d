"""``vpn bans``: who is kept out for a time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.output import moment

app = typer.Typer(help="List, add and lift bans of addresses and users.", no_args_is_help=True, rich_markup_mode=None)

Subject = Annotated[str, typer.Argument(help="An address, or the name of a user.", show_default=False)]
User = Annotated[bool, typer.Option("--user", help="It is a user's name, though it looks like an address.")]
_COLUMNS = ("kind", "subject", "until", "failures", "reason")


@app.command("list")
def list_bans(ctx: typer.Context) -> None:
    """List bans, the newest first."""
    context: Context = ctx.obj
    bans = (_shown(context, ban) for ban in context.client().bans())
    context.output.rows(bans, _COLUMNS, empty="Nobody is banned.")


@app.command("add")
def add(
    ctx: typer.Context,
    subject: Subject,
    duration: Annotated[str, typer.Option("--for", help="How long, e.g. 90m, 12h or 30d.")] = "1d",
    reason: Annotated[str, typer.Option(help="Anything to remember about it.")] = "",
    user: User = False,
) -> None:
    """Keep out an address (of IPv6 its whole /64) or a user for a time. Open connections go on."""
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().add_ban(subject, _kind(user), duration, reason)))


@app.command("remove")
def remove(
    ctx: typer.Context,
    subject: Annotated[str | None, typer.Argument(help="An address, or the name of a user.")] = None,
    user: User = False,
    everybody: Annotated[bool, typer.Option("--all", help="Lift all bans.")] = False,
) -> None:
    """Lift a ban, and forget the failures that led to it."""
    context: Context = ctx.obj
    if (subject is None) != everybody:
        raise typer.BadParameter("name an address or a user, or say --all")
    if subject is None:
        context.output.sentence(f"Bans lifted: {context.client().remove_bans()['lifted']}.")
    else:
        context.client().remove_ban(subject, _kind(user))
        context.output.sentence(f"{subject} is banned no more.")


def _kind(user: bool) -> str | None:
    return "user" if user else None


def _shown(context: Context, ban: dict[str, Any]) -> dict[str, Any]:
    """A ban as people or programs want to see it."""
    if not context.output.for_people:
        return ban
    return ban | {key: moment(ban[key]) for key in ("created_at", "until")} | {"exempt": ", ".join(ban["exempt"])}
