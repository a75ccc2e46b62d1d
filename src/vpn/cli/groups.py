"""``vpn groups``: limits that many users have."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.limit_options import ChangesSharedLimits, SharedLimitedCommand, limits_said, shared_said
from vpn.cli.output import Format, moment

app = typer.Typer(
    help="Add, list, change and remove groups. Users inherit limits from theirs, and all from the group everyone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="The group's name.", show_default=False)]
Note = Annotated[str | None, typer.Option(help="Anything to remember about the group.")]
_COLUMNS = ("name", "members", "down / up", "data", "note")
_PLAIN_COLUMNS = ("name", "members", "down", "up", "data_limit", "reset", "created_at", "note")


@app.command("add", cls=SharedLimitedCommand)
def add(ctx: typer.Context, name: Name, note: Note = None) -> None:
    """Add a group. In the group everyone are all users, without being put there."""
    context: Context = ctx.obj
    fields = {"limits": limits_said(ctx), "shared": shared_said(ctx)} | ({} if note is None else {"note": note})
    group = context.client().add_group(name, fields)
    if context.output.for_people:
        context.output.sentence(
            f"Added {group['name']}. Put users in with: vpn users edit NAME --group {group['name']}"
        )
    else:
        context.output.record(group)


@app.command("list")
def list_groups(
    ctx: typer.Context,
    search: Annotated[str, typer.Option(help="Only groups whose name or note contains this.")] = "",
) -> None:
    """List groups."""
    context: Context = ctx.obj
    context.output.rows(
        (_listed(context, group) for group in context.client().groups(search)),
        _COLUMNS if context.output.for_people else _PLAIN_COLUMNS,
        empty="No group matches." if search else "There are no groups yet; add one with: vpn groups add NAME",
    )


@app.command("show")
def show(ctx: typer.Context, name: Name) -> None:
    """Show a group: what its members inherit, and what they have together."""
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().group(name)))


@app.command("edit", cls=ChangesSharedLimits)
def edit(
    ctx: typer.Context,
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name; members stay in it.")] = None,
    note: Note = None,
) -> None:
    """Change a group."""
    limits, shared = limits_said(ctx) or None, shared_said(ctx) or None
    said = (("name", new_name), ("note", note), ("limits", limits), ("shared", shared))
    changes = {key: value for key, value in said if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change, with --name, --note, or a limit")
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().change_group(name, changes)))


@app.command("remove")
def remove(
    ctx: typer.Context,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Also if users are in it; they stay, without it.")] = False,
) -> None:
    """Remove a group."""
    context: Context = ctx.obj
    context.client().remove_group(name, force=force)
    context.output.sentence(f"Removed {name}.")


def _listed(context: Context, group: dict[str, Any]) -> dict[str, Any]:
    if context.output.format in (Format.JSON, Format.YAML):
        return group
    limits = group["limits"]
    flat = {key: group[key] for key in ("name", "members", "created_at", "note")}
    if not context.output.for_people:
        return flat | {key: limits.get(key, "") for key in ("down", "up", "data_limit", "reset")}
    from vpn.cli.limit_texts import data_text, rates_text

    return flat | {"down / up": rates_text(limits), "data": data_text(limits)}


def _shown(context: Context, group: dict[str, Any]) -> dict[str, Any]:
    """A group as people or programs want to see it."""
    if not context.output.for_people:
        return group
    from vpn.cli.limit_texts import shown_limits

    return {
        "name": group["name"],
        "members": group["members"],
        "note": group["note"],
        **shown_limits(group["limits"]),
        **{f"shared_{field}": text for field, text in shown_limits(group["shared"]).items()},
        **{key: moment(group[key]) for key in ("created_at", "updated_at")},
    }
