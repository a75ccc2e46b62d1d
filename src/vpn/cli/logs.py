"""``vpn logs``."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.output import Format, one_line, write

_COLOURS = {"debug": 2, "info": 32, "warning": 33, "error": 31, "critical": 31}
_EVENT = 32  # cells, so that the fields of most lines stand below each other


class Level(StrEnum):
    """Levels of the log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def logs(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with lines as they come.")] = False,
    level: Annotated[Level | None, typer.Option(help="Lines of this level and above.")] = None,
    area: Annotated[str, typer.Option(help="Lines of one part of the daemon, e.g. sessions.")] = "",
    user: Annotated[str, typer.Option(help="Lines that name this user.")] = "",
    search: Annotated[str, typer.Option(help="Lines with this text.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Lines from before, at most.")] = 50,
) -> None:
    """Show the newest lines of the daemon's log, which it keeps in memory. With --format json one object a line."""
    context: Context = ctx.obj
    client = context.client(daemon_only=True)
    where = {"level": level, "area": area, "user": user, "text": search}
    lines = client.follow_log(limit, **where) if follow else client.log_lines(limit, **where)
    if context.output.for_people:
        for line in lines:
            _show(line)
    elif context.output.format in (Format.JSON, Format.YAML):
        context.output.stream(lines)
    else:
        context.output.stream(map(_row, lines))
    if follow:
        context.output.sentence("The daemon has stopped.")


def _row(line: dict[str, Any]) -> dict[str, Any]:
    """A line whose columns are always the same."""
    if "dropped" in line:
        return dict.fromkeys(("id", "time", "level", "area"), "") | {"event": _left_out(line), "fields": ""}
    return line | {"fields": json.dumps(line["fields"], ensure_ascii=False)}


def _left_out(line: dict[str, Any]) -> str:
    return f"{line['dropped']} lines were left out: they came faster than they were read"


def _show(line: dict[str, Any]) -> None:
    if "dropped" in line:
        write(f"… {_left_out(line)}")
    else:
        for each in _sentences(line, coloured=sys.stdout.isatty()):
            write(each)


def _sentences(line: dict[str, Any], *, coloured: bool) -> list[str]:
    """A line of the log as a person reads it; a traceback stands below it."""
    from datetime import datetime

    moment = datetime.fromisoformat(line["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    level, event = f"{line['level']:7}", one_line(line["event"])
    fields = {name: value for name, value in line["fields"].items() if not _is_traceback(value)}
    said = "  ".join(f"{one_line(name)}={_value(value)}" for name, value in fields.items())
    below = [value for value in line["fields"].values() if _is_traceback(value)]
    if coloured:
        level = f"\x1b[{_COLOURS.get(line['level'], 0)}m{level}\x1b[0m"
    head = f"{moment}  {level}  {one_line(line['area']):9}  {event:{_EVENT if said else 0}}  {said}".rstrip()
    return [head, *(f"    {one_line(each)}" for text in below for each in text.splitlines())]


def _is_traceback(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = one_line(text)
    return shown if shown and " " not in shown else f'"{shown}"' if isinstance(value, str) else shown
