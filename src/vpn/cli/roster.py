"""``vpn users import`` and ``vpn users export``: users in bulk, from and to a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vpn.api.client import PATIENCE
from vpn.cli.context import Context
from vpn.cli.output import Format, one_line, write


class OnConflict(StrEnum):
    """What becomes of a row whose name a user bears already."""

    FAIL = "fail"
    SKIP = "skip"
    UPDATE = "update"


def import_users(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .csv, .json or .yaml file; - reads CSV from standard input.")],
    on_conflict: Annotated[OnConflict, typer.Option(help="What to do where a user of the name is there.")] = (
        OnConflict.FAIL
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be, and change nothing.")] = False,
) -> None:
    """Add the users of a file: all, or none if something is wrong.

    Columns or keys are name, password or password_hash, note, enabled, groups, and the names of limits as the API has
    them, such as data_limit and down. Where there is no password, one is made and printed.
    """
    from vpn.cli.row_files import read_file

    context: Context = ctx.obj
    done = context.client(timeout=PATIENCE).import_users(read_file(file), on_conflict.value, dry_run=dry_run)
    if not context.output.for_people:
        context.output.record(done)
        return
    counts = [f"{len(done[what])} {what}" for what in ("added", "updated", "skipped") if done[what]]
    write(f"{'Would be: ' if dry_run else ''}{', '.join(counts) or 'No users in the file'}.")
    if done["passwords"]:
        write("\nPasswords that were made; they are shown only now:\n")
        width = max(map(len, done["passwords"]))
        for name, password in done["passwords"].items():
            write(f"  {one_line(name):{width}}  {one_line(password)}")


def export_users(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Option(help="A .csv, .json or .yaml file to write; else standard output.")
    ] = None,
    group: Annotated[str, typer.Option(help="Only users in this group.")] = "",
    with_hashes: Annotated[
        bool, typer.Option("--with-hashes", help="With hashes of passwords: keep the file as you would passwords.")
    ] = False,
) -> None:
    """Write users so that they can be imported again: as the file is named, or as --format says, else CSV."""
    from vpn.cli.row_files import format_of, text_of, write_file

    context: Context = ctx.obj
    rows = context.client().export_users(group, with_hashes=with_hashes)
    asked = context.output.format
    if file is not None:
        write_file(file, text_of(rows, format_of(file)))
        context.output.sentence(f"Wrote {len(rows)} user{'' if len(rows) == 1 else 's'} to {file}.")
    else:
        write(text_of(rows, asked if asked in (Format.JSON, Format.YAML) else Format.CSV).rstrip("\n"))
