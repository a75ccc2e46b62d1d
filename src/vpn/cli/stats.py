"""``vpn stats``: what sessions come to over a time."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from vpn.cli.charts import Line, chart, sparkline, terminal_width
from vpn.cli.context import Context
from vpn.cli.output import bar, moment, write
from vpn.domain.units import rounded_size

app = typer.Typer(help="Statistics: totals, users, destinations, and how it went.", rich_markup_mode=None)

Since = Annotated[str, typer.Option(help="From when on: 7d (so long ago), or 2026-12-31; left out: 24h.")]
Until = Annotated[str, typer.Option(help="Until when, e.g. 2026-12-31T18:00:00Z; left out: now.")]


class By(StrEnum):
    """How long what is added up lasts."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Sort(StrEnum):
    """What comes first."""

    SESSIONS = "sessions"
    BYTES = "bytes"


_SUMS = ("sessions", "closed", "failed", "rejected", "bytes_sent", "bytes_received", "duration_seconds")
_NARROW = 60  # cells: below, what was sent and what was received are one column
_TOP = 5
_NAMELESS = "(none)"


@app.callback(invoke_without_command=True)
def overview(ctx: typer.Context, since: Since = "", until: Until = "") -> None:
    """Show totals, what was allowed, who and what moved most; the commands below show more of each."""
    asked = _range(since, until)
    if ctx.invoked_subcommand is not None:
        if asked:
            raise typer.BadParameter(f"say the range after {ctx.invoked_subcommand}")
        return
    context: Context = ctx.obj
    client = context.client()
    stats = client.session_stats(asked | {"top": _TOP})
    series = client.traffic(asked)
    if context.output.for_people:
        _show_overview(context, stats, series)
    else:
        context.output.record(stats | {"by": series["by"], "traffic": series["data"]})


@app.command("traffic")
def traffic(
    ctx: typer.Context,
    *,
    since: Since = "",
    until: Until = "",
    by: Annotated[By | None, typer.Option(help="Left out: as suits the range.", show_default=False)] = None,
    user: Annotated[str | None, typer.Option(help="Of this user only.")] = None,
    destination: Annotated[str | None, typer.Option(help="To this host only.")] = None,
    inbound: Annotated[str | None, typer.Option(help="By this inbound only.")] = None,
) -> None:
    """Show sessions and bytes hour by hour, day by day, or month by month."""
    context: Context = ctx.obj
    where = {"by": by and by.value, "user": user, "destination": destination, "inbound": inbound}
    series = context.client().traffic(_range(since, until) | where)
    if not context.output.for_people:
        context.output.rows(series["data"], ("start", *_SUMS), empty="")
        return
    title = "hour" if series["by"] == "hour" else f"{series['by']} (UTC)"
    _show_sums(title, {_label(series["by"], point["start"]): point for point in series["data"]}, Sort.BYTES)


def _add_ranking(what: str, about: str, usual: Sort) -> None:
    @app.command(what, help=about)
    def rank(
        ctx: typer.Context,
        since: Since = "",
        until: Until = "",
        limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 10,
        sort: Annotated[Sort, typer.Option(help="What comes first.")] = usual,
    ) -> None:
        context: Context = ctx.obj
        where = _range(since, until) | {"limit": limit, "sort": sort.value}
        ranking = context.client().ranking(what, where)["data"]
        if not context.output.for_people:
            context.output.rows(ranking, ("name", *_SUMS), empty="")
        elif ranking:
            _show_sums(what.removesuffix("s"), {each["name"]: each for each in ranking}, sort)
        else:
            write("There was nothing in that time.")


_add_ranking("users", "Show the users with most bytes or sessions.", Sort.BYTES)
_add_ranking("destinations", "Show the hosts with most bytes or sessions.", Sort.BYTES)
_add_ranking("inbounds", "Show the inbounds with most bytes or sessions.", Sort.BYTES)
_add_ranking("protocols", "Show the protocols with most bytes or sessions.", Sort.BYTES)
_add_ranking("reasons", "Show why sessions ended, or were refused.", Sort.SESSIONS)


def _range(since: str, until: str) -> dict[str, Any]:
    said = {"from": since, "to": until}
    return {name: value for name, value in said.items() if value}


def _show_overview(context: Context, stats: dict[str, Any], series: dict[str, Any]) -> None:
    width = terminal_width()
    share = stats["allowed_share"]
    amounts = [_bytes(point) for point in series["data"]]
    context.output.record(
        {
            "from": moment(stats["from"]),
            "sessions": f"{stats['total_sessions']:,}, {stats['active_sessions']:,} of them now",
            "failed": f"{stats['failed_sessions']:,}",
            "rejected": f"{stats['rejected_sessions']:,}",
            **({} if share is None else {"allowed": f"{_percent(share)}  {bar(share, min(30, width - 18))}"}),
            "sent": rounded_size(stats["total_bytes_sent"]),
            "received": rounded_size(stats["total_bytes_received"]),
            f"by {series['by']}": sparkline(amounts, width - 12),
        }
    )
    for kind in ("user", "destination"):
        top = stats[f"top_{kind}s"]
        if top:
            write("")
            _show_sums(kind, {each[kind]: each | {"sessions": each["session_count"]} for each in top}, Sort.BYTES)


def _show_sums(title: str, rows: dict[str, dict[str, Any]], sort: Sort) -> None:
    """Sums by name, with bars of their bytes or their sessions."""
    width = terminal_width()
    titles = (title.upper(), "SESSIONS", *(("BYTES",) if width < _NARROW else ("SENT", "RECEIVED")))
    lines = []
    for name, sums in rows.items():
        amounts = [_bytes(sums)] if width < _NARROW else [sums["bytes_sent"], sums["bytes_received"]]
        cells = [f"{sums['sessions']:,}", *map(rounded_size, amounts)]
        lines.append(Line(name or _NAMELESS, cells, sums["sessions"] if sort is Sort.SESSIONS else _bytes(sums)))
    for line in chart(titles, lines, width):
        write(line)


def _percent(share: float) -> str:
    """Rounded down: where one of a million was refused, not all were allowed."""
    return f"{int(share * 1000) / 10:.1f}%"


def _bytes(sums: dict[str, Any]) -> int:
    return int(sums["bytes_sent"]) + int(sums["bytes_received"])


def _label(by: str, start: str) -> str:
    """Hours as they are here; days and months are added up in UTC."""
    return moment(start) if by == "hour" else start[: 10 if by == "day" else 7]
