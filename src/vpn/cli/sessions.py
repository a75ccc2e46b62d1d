"""``vpn sessions``: who connected to what, when, and how much was moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.live_sessions import kill, list_live
from vpn.cli.output import Format, csv_text, write
from vpn.cli.session_watch import watch_sessions
from vpn.domain.errors import Invalid, Unavailable

app = typer.Typer(help="List, show, export, watch and close sessions.", no_args_is_help=True, rich_markup_mode=None)

User = Annotated[str, typer.Option(help="Only those of this user.")]
Destination = Annotated[str, typer.Option(help="Only those to this name, address or network (10.0.0.0/8).")]
Status = Annotated[str, typer.Option(help="Only active, closed, failed or rejected_by_acl ones.")]
Inbound = Annotated[str, typer.Option(help="Only those that came by this inbound.")]
Since = Annotated[str, typer.Option(help="Only those that began then or later: 24h (so long ago), or 2026-12-31.")]
Until = Annotated[str, typer.Option(help="Only those that began before, e.g. 2026-12-31T18:00:00Z.")]
Search = Annotated[str, typer.Option(help="Only those with this in the user's name or the destination.")]

_COLUMNS = ("id", "start", "user", "destination", "status", "sent", "received", "lasted")
_FIELDS = ("id", "start_time", "user", "destination", "dest_port", "status", "bytes_sent", "bytes_received")
_EXPORTED = (
    *("id", "user", "source_ip", "source_port", "dest_ip", "dest_port", "destination", "protocol", "status"),
    *("acl_decision", "acl_rule", "reason", "bytes_sent", "bytes_received", "packets_sent", "packets_received"),
    *("start_time", "end_time", "duration_seconds", "inbound", "engine", "upstream", "server_name"),
    *("connect_ms", "first_byte_ms"),
)
_AT_ONCE = 1000  # rows written to a file


class Sort(StrEnum):
    """What sessions can be sorted by."""

    START_TIME = "start_time"
    DURATION_SECONDS = "duration_seconds"
    BYTES_SENT = "bytes_sent"
    BYTES_RECEIVED = "bytes_received"


@app.command("list")
def list_sessions(
    ctx: typer.Context,
    *,
    user: User = "",
    destination: Destination = "",
    status: Status = "",
    inbound: Inbound = "",
    since: Since = "",
    until: Until = "",
    search: Search = "",
    sort: Annotated[Sort, typer.Option(help="What to sort by.")] = Sort.START_TIME,
    ascending: Annotated[bool, typer.Option("--ascending", help="The least or oldest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, at most.")] = 50,
    live: Annotated[bool, typer.Option("--live", help="Only live ones, as they are now.")] = False,
) -> None:
    """List sessions, live and past, the newest first."""
    context: Context = ctx.obj
    if live and (status or since or until):
        raise typer.BadParameter("--live goes without --status, --since and --until")
    where = _where(user, destination, status, inbound, since, until, search)
    order = {"sort_by": sort.value, "sort_dir": "asc" if ascending else "desc"}
    if live:
        sessions: Iterable[dict[str, Any]] = list_live(context.client(daemon_only=True), limit, where | order)
    else:
        sessions = context.client().sessions(limit, **where, **order)
    if context.output.for_people:
        context.output.rows(map(_shown, sessions), _COLUMNS, empty="No sessions.")
    else:
        context.output.rows(sessions, _FIELDS, empty="")


@app.command("show")
def show_session(ctx: typer.Context, id: Annotated[str, typer.Argument(help="The session's id.")]) -> None:
    """Show everything about a session."""
    context: Context = ctx.obj
    session = context.client().session(id)
    if context.output.for_people:
        session = {name: value for name, value in session.items() if value not in (None, "")}
    context.output.record(session)


@app.command("export")
def export_sessions(
    ctx: typer.Context,
    *,
    file: Annotated[Path | None, typer.Option(help="A .csv or .jsonl file to write; else standard output.")] = None,
    user: User = "",
    destination: Destination = "",
    status: Status = "",
    inbound: Inbound = "",
    since: Since = "",
    until: Until = "",
    search: Search = "",
) -> None:
    """Write all sessions meant, the newest first: as CSV, or as JSON lines (to a .jsonl, or with --format json)."""
    context: Context = ctx.obj
    if file is None and context.output.format in (Format.YAML, Format.PLAIN):
        raise typer.BadParameter("sessions are written as CSV, or with --format json as JSON lines")
    sessions = context.client().export_sessions(**_where(user, destination, status, inbound, since, until, search))
    if file is None:
        for text in _texts(sessions, as_lines=context.output.format is Format.JSON):
            write(text)
        return
    if file.suffix not in (".csv", ".jsonl"):
        raise Invalid("bad_file", f"{file}: what it is to be cannot be told", "name it .csv or .jsonl")
    try:
        with file.open("w", encoding="utf-8") as stream:
            count = _write_all(stream, sessions, as_lines=file.suffix == ".jsonl")
    except OSError as error:
        raise Unavailable("file_failed", f"{file}: {error.strerror}", "write to a place that is yours") from None
    context.output.sentence(f"Wrote {count} sessions to {file}.")


def _write_all(stream: IO[str], sessions: Iterable[dict[str, Any]], *, as_lines: bool) -> int:
    count = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal count
        for session in sessions:
            count += 1
            yield session

    for text in _texts(counted(), as_lines=as_lines):
        stream.write(f"{text}\n")
    return count


def _texts(sessions: Iterable[dict[str, Any]], *, as_lines: bool) -> Iterator[str]:
    """Sessions as text, some at a time; a table has its header in any case."""
    import json
    from itertools import islice

    source = iter(sessions)
    if not as_lines:
        yield csv_text([], _EXPORTED)
    while some := list(islice(source, _AT_ONCE)):
        if as_lines:
            yield "\n".join(json.dumps(session, ensure_ascii=False) for session in some)
            continue
        yield csv_text(some, _EXPORTED).partition("\n")[2]


def _where(
    user: str, destination: str, status: str, inbound: str, since: str, until: str, search: str
) -> dict[str, Any]:
    """The filters, as the API has them."""
    return {
        "user": user,
        "destination": destination,
        "status": status,
        "inbound": inbound,
        "from": since,
        "to": until,
        "search": search,
    }


def _shown(session: dict[str, Any]) -> dict[str, Any]:
    """A session as people want to see it."""
    from datetime import datetime

    from vpn.domain.address import Endpoint
    from vpn.domain.units import rounded_duration, rounded_size

    lasted = session["duration_seconds"]
    return session | {
        "start": datetime.fromisoformat(session["start_time"]).astimezone().strftime("%m-%d %H:%M:%S"),
        "user": session["user"] or "-",
        "destination": str(Endpoint(session["destination"], session["dest_port"])) if session["destination"] else "-",
        "sent": rounded_size(session["bytes_sent"]),
        "received": rounded_size(session["bytes_received"]),
        "lasted": "-" if lasted is None else rounded_duration(lasted),
    }


app.command("kill")(kill)
app.command("watch")(watch_sessions)
