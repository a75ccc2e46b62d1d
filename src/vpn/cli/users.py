"""``vpn users``: who may connect."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.output import curl_line, moment, one_line, write

app = typer.Typer(help="Add, list, change and remove users.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
Password = Annotated[
    str | None,
    typer.Option(help="The password; - asks for it, or reads it from standard input. Left out, one is made."),
]
_COLUMNS = ("name", "enabled", "created_at", "note")


@app.command("add")
def add(
    ctx: typer.Context,
    name: Name,
    password: Password = None,
    note: Annotated[str, typer.Option(help="Anything to remember about the user.")] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not let the user connect yet.")] = False,
) -> None:
    """Add a user, and print what is needed to connect."""
    context: Context = ctx.obj
    access = context.client().add_user(name, _read(password), note, not disabled)
    _show_access(context, access, f"Added {access['user']['name']}.")


@app.command("list")
def list_users(
    ctx: typer.Context,
    search: Annotated[str, typer.Option(help="Only users whose name or note contains this.")] = "",
) -> None:
    """List users."""
    context: Context = ctx.obj
    context.output.rows(
        (_shown(context, user) for user in context.client().users(search)),
        _COLUMNS,
        empty="No user matches." if search else "There are no users yet; add one with: vpn users add NAME",
    )


@app.command("show")
def show(ctx: typer.Context, name: Name) -> None:
    """Show a user."""
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().user(name)))


@app.command("edit")
def edit(
    ctx: typer.Context,
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name; closes open connections.")] = None,
    note: Annotated[str | None, typer.Option(help="Anything to remember about the user.")] = None,
) -> None:
    """Change a user's name or note."""
    changes = {key: value for key, value in (("name", new_name), ("note", note)) if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change, with --name or --note")
    _change(ctx, name, changes)


@app.command("enable")
def enable(ctx: typer.Context, name: Name) -> None:
    """Let a user connect again."""
    _change(ctx, name, {"enabled": True})


@app.command("disable")
def disable(ctx: typer.Context, name: Name) -> None:
    """Let a user connect no more, and close open connections."""
    _change(ctx, name, {"enabled": False})


@app.command("remove")
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a user, and close open connections."""
    context: Context = ctx.obj
    context.client().remove_user(name)
    context.output.sentence(f"Removed {name}.")


@app.command("passwd")
def passwd(ctx: typer.Context, name: Name, password: Password = None) -> None:
    """Give a user another password."""
    context: Context = ctx.obj
    access = context.client().set_password(name, _read(password))
    _show_access(context, access, f"{access['user']['name']} has a new password.")


def _change(ctx: typer.Context, name: str, changes: dict[str, Any]) -> None:
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().change_user(name, changes)))


def _shown(context: Context, user: dict[str, Any]) -> dict[str, Any]:
    """A user as people or programs want to see it."""
    if not context.output.for_people:
        return user
    return user | {key: moment(user[key]) for key in ("created_at", "updated_at")}


def _read(password: str | None) -> str | None:
    if password != "-":  # noqa: S105 -- the sign for "ask"
        return password
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


def _show_access(context: Context, access: dict[str, Any], headline: str) -> None:
    if not context.output.for_people:
        context.output.record({**access["user"], "password": access["password"], "links": access["links"]})
        return
    write(f"{headline} The password is shown only now.\n")
    write(f"  password  {one_line(access['password'])}")
    for number, link in enumerate(access["links"]):
        write(f"  {'try' if number == 0 else '':8}  {curl_line(one_line(link))}")
