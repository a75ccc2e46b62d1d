"""``vpn policy``: who may go where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vpn.api.client import Client
from vpn.cli.context import Context
from vpn.cli.editing import edit_until_right, read_policy, whoami
from vpn.cli.output import moment, one_line, write
from vpn.domain.address import parse_endpoint
from vpn.domain.errors import Invalid

app = typer.Typer(
    help="Show, change and test the rules: who may go where.", no_args_is_help=True, rich_markup_mode=None
)

File = Annotated[Path, typer.Argument(help="A policy: .yaml, .toml (RustSocks' too) or .json.", show_default=False)]
Comment = Annotated[str, typer.Option(help="Why; kept with the version.")]
_COLUMNS = ("number", "created_at", "author", "comment")


@app.command("show")
def show(ctx: typer.Context) -> None:
    """Show the policy that holds, as a document that `apply` takes."""
    context: Context = ctx.obj
    held = context.client().policy()
    text = held.pop("text")
    if not context.output.for_people:
        context.output.record(held)
        return
    write(f"# {_headline(held)}")
    if held["problem"]:
        write("# The file is wrong now, and not what holds:")
        for line in held["problem"].splitlines():
            write(f"#   {one_line(line)}")
    write(text.rstrip("\n"))


@app.command("apply")
def apply(
    ctx: typer.Context,
    file: File,
    comment: Comment = "",
    expect: Annotated[int | None, typer.Option(help="Only if this version holds now.")] = None,
) -> None:
    """Make a file the policy. It is in force when this returns; sessions that it forbids are closed."""
    context: Context = ctx.obj
    document = read_policy(file)
    _tell(context, context.client().apply_policy(document, author=whoami(), comment=comment, expected=expect))


@app.command("check")
def check(ctx: typer.Context, file: File) -> None:
    """See whether a file could be applied. Needs no daemon."""
    context: Context = ctx.obj
    read_policy(file)
    context.output.sentence(f"{file} is a policy.")


@app.command("edit")
def edit(ctx: typer.Context, comment: Comment = "") -> None:
    """Change the policy in an editor: the one that VISUAL or EDITOR names, else vi."""
    context: Context = ctx.obj
    client = context.client()
    held = client.policy()

    def save(document: dict[str, Any]) -> dict[str, Any]:
        return client.apply_policy(document, author=whoami(), comment=comment, expected=held["number"])

    version = edit_until_right(held["text"], save)
    if version is None:
        context.output.sentence("Nothing was changed.")
    else:
        _tell(context, version)


@app.command("diff")
def diff(
    ctx: typer.Context,
    older: Annotated[str, typer.Argument(help="A file, or the number of a version.", show_default=False)] = "",
    newer: Annotated[
        int | None, typer.Argument(help="The number of a later version; left out, what holds.", show_default=False)
    ] = None,
) -> None:
    """Show what a file would change, or what has changed since a version; without arguments, what was changed last."""
    context: Context = ctx.obj
    text = _compare(context.client(), older, newer)
    if text:
        for line in text.splitlines():
            write(one_line(line))
    else:
        context.output.sentence("They are the same.")


@app.command("history")
def history(ctx: typer.Context) -> None:
    """List the versions of the policy, the newest first."""
    context: Context = ctx.obj
    versions = context.client().policy_versions()
    context.output.rows(
        (
            version | {"created_at": moment(version["created_at"])} if context.output.for_people else version
            for version in versions
        ),
        _COLUMNS,
        empty="No policy was ever applied: everything is allowed.",
    )


@app.command("rollback")
def rollback(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="The version; 0: as it was before the first.", show_default=False)],
    comment: Comment = "",
) -> None:
    """Make an older version the policy again, which is a new version."""
    context: Context = ctx.obj
    _tell(context, context.client().roll_back_policy(number, author=whoami(), comment=comment))


@app.command("test")
def ask(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(help="Anybody, known or not.", show_default=False)],
    destination: Annotated[str, typer.Argument(help="A name or an address, with a port.", metavar="HOST:PORT")],
    udp: Annotated[bool, typer.Option("--udp", help="A datagram, not a connection.")] = False,
    source: Annotated[str, typer.Option(help="The address that the user comes from.")] = "127.0.0.1",
    at: Annotated[str, typer.Option(help="When, e.g. 2026-11-21T18:00, in local time; left out, now.")] = "",
) -> None:
    """Say whether the rules let a user through, which rule decides, and why."""
    context: Context = ctx.obj
    host, port = parse_endpoint(destination)
    protocol = "udp" if udp else "tcp"
    attempt = {"user": user, "destination": host, "port": port, "protocol": protocol, "source": source}
    answer = context.client().test_policy(attempt | ({"at": _moment(at)} if at else {}))
    context.output.record(_explained(user, answer) if context.output.for_people else answer)


def _compare(client: Client, older: str, newer: int | None) -> str:
    if not older:
        number = client.policy()["number"]
        return client.compare_policies(number - 1) if number else ""
    if older.isascii() and older.isdigit():
        return client.compare_policies(int(older), newer)
    if newer is not None:
        raise typer.BadParameter("a file is compared with what holds: name no version")
    return client.compare_policy(read_policy(Path(older)))


def _explained(user: str, answer: dict[str, Any]) -> dict[str, Any]:
    shown = {"decision": "allowed" if answer["decision"] == "allow" else "blocked", "why": answer["why"]}
    if answer["rule"]:
        rule = answer["rule"]
        parts = [rule["action"], *rule["destinations"], "ports", *rule["ports"], *rule["protocols"]]
        shown["rule"] = " ".join(parts)
    shown["groups"] = ", ".join(answer["groups"]) + ("" if answer["known_user"] else f" (there is no user {user})")
    for each in answer["addresses"]:
        shown[each["address"]] = f"{each['decision']}, by {each['matched_rule'] or 'default'}"
    if answer["special"] and answer["decision"] == "allow":
        shown["but"] = f"{answer['special']} addresses are refused, unless proxy.private_destinations is allow"
    if not answer["resolved"]:
        shown["but"] = "it depends on the addresses of the name, and none were found"
    return shown


def _tell(context: Context, version: dict[str, Any]) -> None:
    if context.output.for_people:
        write(f"Version {version['number']} of the policy is in force.")
    else:
        context.output.record(version)


def _headline(held: dict[str, Any]) -> str:
    if held["file"]:
        return f"From {one_line(held['file'])}, written {moment(held['created_at'])}."
    if not held["number"]:
        return "No policy was ever applied: everything is allowed."
    comment = f": {one_line(held['comment'])}" if held["comment"] else ""
    return f"Version {held['number']}, {moment(held['created_at'])}, by {one_line(held['author'])}{comment}"


def _moment(text: str) -> str:
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        hint = "write it as 2026-11-21T18:00, with +01:00 behind it for another zone"
        raise Invalid("bad_time", f"{text!r} is no time", hint) from None
