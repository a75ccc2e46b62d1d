"""``vpn users``: who may connect."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vpn.cli import roster, usage, user_links
from vpn.cli.context import Context
from vpn.cli.limit_options import ChangesLimits, LimitedCommand, limits_said
from vpn.cli.output import Format, curl_line, is_for_apps, moment, one_line, write
from vpn.cli.qr_codes import show_if_it_fits
from vpn.cli.secret_input import read_secret

app = typer.Typer(
    help="Add, list, change and remove users, alone or in bulk.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
Password = Annotated[
    str | None,
    typer.Option(help="The password; - asks for it, or reads it from standard input. Left out, one is made."),
]
NoQR = Annotated[bool, typer.Option("--no-qr", help="Do not draw the QR code, which is drawn on terminals only.")]
Note = Annotated[str | None, typer.Option(help="Anything to remember about the user.")]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", help="A group to be in, the nearest first. They replace those before.", show_default=False),
]
NoGroup = Annotated[bool, typer.Option("--no-group", help="Be in no group.")]
_COLUMNS = ("name", "enabled", "groups", "down / up", "data", "expires", "note")
_PLAIN_COLUMNS = ("name", "enabled", "groups", "down", "up", "data_limit", "reset", "expires_at", "created_at", "note")
_WHERE = ("group", "enabled", "search", "name")


@app.command("add", cls=LimitedCommand)
def add(
    ctx: typer.Context,
    name: Name,
    password: Password = None,
    note: Note = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not let the user connect yet.")] = False,
    group: Groups = None,
    no_qr: NoQR = False,
) -> None:
    """Add a user, and print what is needed to connect."""
    context: Context = ctx.obj
    fields = _said(
        note=note, enabled=False if disabled else None, groups=group or None, limits=limits_said(ctx) or None
    )
    access = context.client().add_user(name, read_secret(password, "Password"), fields)
    _show_access(context, access, f"Added {access['user']['name']}.", no_qr=no_qr)


@app.command("list")
def list_users(
    ctx: typer.Context,
    search: Annotated[str, typer.Option(help="Only users whose name or note contains this.")] = "",
    group: Annotated[str, typer.Option(help="Only users in this group.")] = "",
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Only users who may connect, or may not.")
    ] = None,
) -> None:
    """List users, with the limits that hold for them."""
    context: Context = ctx.obj
    some = search or group or enabled is not None
    found = context.client().users(search=search, group=group, enabled=enabled)
    context.output.rows(
        (_listed(context, user) for user in found),
        _COLUMNS if context.output.for_people else _PLAIN_COLUMNS,
        empty="No user matches." if some else "There are no users yet; add one with: vpn users add NAME",
    )


@app.command("show")
def show(ctx: typer.Context, name: Name) -> None:
    """Show a user: what is the user's own, and what is inherited from groups."""
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().user(name)))


@app.command("edit", cls=ChangesLimits)
def edit(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The user's name.", show_default=False)] = None,
    *,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name; closes open connections.")] = None,
    note: Note = None,
    group: Groups = None,
    no_group: NoGroup = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help=f"Instead of NAME, all users of whom this is true: {', '.join(_WHERE)}."
        ),
    ] = None,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Let connect, or no more.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before changing many users.")] = False,
) -> None:
    """Change a user, or all users of whom something is true."""
    groups = [] if no_group else group or None
    changes = _said(name=new_name, note=note, enabled=enable, groups=groups, limits=limits_said(ctx) or None)
    if not changes:
        raise typer.BadParameter("say what to change, with --name, --note, --group, or a limit")
    if (name is None) == (not where):
        raise typer.BadParameter("say whom to change: a NAME, or --where")
    if name is not None:
        _change(ctx, name, changes)
    elif new_name is not None:
        raise typer.BadParameter("--name is for one user, not for --where")
    else:
        _change_many(ctx.obj, _where(where or []), changes, yes=yes)


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
def passwd(ctx: typer.Context, name: Name, password: Password = None, no_qr: NoQR = False) -> None:
    """Give a user another password."""
    context: Context = ctx.obj
    access = context.client().set_password(name, read_secret(password, "Password"))
    _show_access(context, access, f"{access['user']['name']} has a new password.", no_qr=no_qr)


app.command("link")(user_links.link)
app.command("qr")(user_links.draw)
app.command("renew")(user_links.renew)
app.command("import")(roster.import_users)
app.command("export")(roster.export_users)
app.command("usage")(usage.usage)
app.command("reset-usage")(usage.reset_usage)


def _change(ctx: typer.Context, name: str, changes: dict[str, Any]) -> None:
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().change_user(name, changes)))


def _change_many(context: Context, where: dict[str, Any], changes: dict[str, Any], *, yes: bool) -> None:
    client = context.client()
    names = client.change_users(where, changes, dry_run=True)
    if len(names) > 1 and not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"this changes {len(names)} users; if that is meant, add --yes")
        shown = ", ".join(map(one_line, names[:10])) + (", …" if len(names) > 10 else "")
        typer.confirm(f"Change {len(names)} users ({shown})?", abort=True, err=True)
    names = client.change_users(where, changes, dry_run=False) if names else []
    if context.output.for_people:
        write(f"Changed {len(names)} user{'' if len(names) == 1 else 's'}." if names else "No user matches.")
    else:
        context.output.rows(({"name": name} for name in names), ("name",), empty="")


def _where(pairs: list[str]) -> dict[str, Any]:
    where: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or key not in _WHERE or (key in where and key != "name"):
            raise typer.BadParameter(f"--where {pair}: write KEY=VALUE once for each of {', '.join(_WHERE)}")
        if key == "name":
            where.setdefault("names", []).append(value)
        elif key != "enabled":
            where[key] = value
        elif value in ("yes", "no"):
            where[key] = value == "yes"
        else:
            raise typer.BadParameter(f"--where {pair}: write enabled=yes or enabled=no")
    return where


def _said(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _listed(context: Context, user: dict[str, Any]) -> dict[str, Any]:
    if context.output.format in (Format.JSON, Format.YAML):
        return user
    limits = user["effective"]
    flat = {key: user[key] for key in ("name", "enabled", "groups", "created_at", "note")}
    if not context.output.for_people:
        return flat | {key: limits.get(key, "") for key in ("down", "up", "data_limit", "reset", "expires_at")}
    from vpn.cli import limit_texts

    return flat | {
        "groups": ", ".join(user["groups"]) or "-",
        "down / up": limit_texts.rates_text(limits),
        "data": limit_texts.data_text(limits),
        "expires": limit_texts.expiry_text(limits, user.get("first_used_at")),
    }


def _shown(context: Context, user: dict[str, Any]) -> dict[str, Any]:
    """A user as people or programs want to see it."""
    if not context.output.for_people:
        return user
    from vpn.cli.limit_texts import shown_limits

    own = shown_limits(user["limits"])
    inherited = {field: f"{text} (inherited)" for field, text in shown_limits(user["effective"]).items()}
    first_used = user.get("first_used_at")
    return {
        "name": user["name"],
        "enabled": user["enabled"],
        "groups": ", ".join(user["groups"]) or "-",
        "note": user["note"],
        **(inherited | own),
        **({"first_used_at": moment(first_used)} if first_used else {}),
        **{key: moment(user[key]) for key in ("created_at", "updated_at")},
    }


def _show_access(context: Context, access: dict[str, Any], headline: str, *, no_qr: bool) -> None:
    if not context.output.for_people:
        about = {"notice": access["notice"]} if "notice" in access else {}
        context.output.record({**access["user"], "password": access["password"], "links": access["links"]} | about)
        return
    write(f"{headline} The password is shown only now.\n")
    write(f"  password  {one_line(access['password'])}")
    links = [one_line(link) for link in access["links"]]
    for_apps = [link for link in links if is_for_apps(link)]
    to_try = [curl_line(link) for link in links if link not in for_apps]
    for word, lines in (("try", to_try), ("link", for_apps)):
        for number, line in enumerate(lines):
            write(f"  {word if number == 0 else '':8}  {line}")
    user_links.say_notice(context, access)
    if for_apps and not no_qr:
        show_if_it_fits(context, for_apps[0])
