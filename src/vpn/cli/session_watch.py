"""``vpn sessions watch``: live sessions, on a screen or as they come and go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from vpn.api.client import Client
from vpn.cli.columns import Column, table
from vpn.cli.context import Context
from vpn.cli.live_view import PATIENCE, LiveView, keys, title
from vpn.cli.output import Format, Output, one_line, write
from vpn.cli.screen import Line, Size, is_screen, watch
from vpn.domain.address import Endpoint
from vpn.domain.units import parse_size, rounded_duration, rounded_rate, rounded_size

ORDERS = ("rate", "bytes", "start_time", "user", "destination", "duration_seconds")
_MOST = 200  # sessions on a screen
_ASCENDING = ("user", "destination")
_COLUMNS = (
    Column("USER", 12),
    Column("DESTINATION", 0),
    Column("DOWN", 12, right=True),
    Column("UP", 12, right=True),
    Column("RECEIVED", 9, right=True),
    Column("SENT", 9, right=True),
    Column("AGE", 9, right=True),
    Column("PROTOCOL", 9),
    Column("SOURCE", 21),
    Column("ID", 16),
    Column("INBOUND", 12),
    Column("RULE", 24),
    Column("UPSTREAM", 12),
)


def watch_sessions(
    ctx: typer.Context,
    *,
    user: Annotated[str, typer.Option(metavar="NAME", help="Only sessions of a user.")] = "",
    destination: Annotated[
        str, typer.Option(metavar="DEST", help="Only to a destination: a name, an address, a network, *.example.com.")
    ] = "",
    inbound: Annotated[str, typer.Option(help="Only of an inbound.")] = "",
    protocol: Annotated[str, typer.Option(help="Only of a protocol, e.g. socks5.")] = "",
    search: Annotated[str, typer.Option(help="Only with this in the user, the destination or the source.")] = "",
    min_bytes: Annotated[str, typer.Option(help="Only those that moved so much, e.g. 10MB.")] = "0",
    sort: Annotated[str, typer.Option(metavar="COLUMN", help=f"One of {', '.join(ORDERS)}.")] = "rate",
) -> None:
    """Watch live sessions. On a terminal a table, refreshed once a second; else a line when one begins or ends.

    Keys: q quits, s sorts by something else, p pauses.
    """
    context: Context = ctx.obj
    if sort not in ORDERS:
        raise typer.BadParameter(f"{sort!r} is no column to sort by: there are {', '.join(ORDERS)}")
    where = {"user": user, "destination": destination, "inbound": inbound, "protocol": protocol, "text": search}
    where["min_bytes"] = str(parse_size(min_bytes))
    client = context.client(daemon_only=True, timeout=PATIENCE)
    if context.output.for_people and is_screen():
        view = _View(client, where, sort)
        view.fetch()
        watch(view.fetch_if_wanted, view.draw, view.on_key, 1.0)
    else:
        _tell(client.follow_sessions(**where), context.output)


class _View(LiveView):
    """What is shown, and how."""

    def __init__(self, client: Client, where: dict[str, str], order: str) -> None:
        super().__init__(ORDERS)
        self.order = order
        self._client = client
        self._where = where
        self._sessions: list[dict[str, Any]] = []
        self._counters: dict[str, Any] = {}

    def fetch(self) -> None:
        direction = "asc" if self.order in _ASCENDING else "desc"
        order = {"sort_by": self.order, "sort_dir": direction, "limit": str(_MOST)}
        self._sessions = self._client.live_sessions(**self._where | order)
        self._counters = self._client.overview(1, "rate")["counters"]

    def draw(self, room: Size) -> list[Line]:
        return picture(self._sessions, self._counters, room, self.order, self.note)


def picture(
    sessions: list[dict[str, Any]], counters: dict[str, Any], room: Size, order: str, note: str = ""
) -> list[Line]:
    """All lines, for a terminal of this size; `note` is of what is wrong, or that it is paused."""
    left = (
        f" sessions  {counters['active_sessions']:,} live, {counters['session_rate']:,.1f} new/s  "
        f"↑ {rounded_rate(8 * counters['rate_sent'])}  ↓ {rounded_rate(8 * counters['rate_received'])}"
    )
    lines = [title(left, counters["time"], room.columns)]
    lines += [Line(one_line(note), "bad")] if note else []
    body = table(_COLUMNS, map(_row, sessions), room.columns)
    most = max(1, room.rows - len(lines) - 1)
    lines += body[:most]
    lines += [Line("")] * (room.rows - 1 - len(lines))
    return [*lines, keys(ORDERS, order)]


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    return (
        each["user"],
        _destination(each),
        rounded_rate(8 * each["rate_received"]),
        rounded_rate(8 * each["rate_sent"]),
        rounded_size(each["bytes_received"]),
        rounded_size(each["bytes_sent"]),
        rounded_duration(each["duration_seconds"]),
        each["protocol"],
        _source(each),
        each["id"],
        each["inbound"],
        each["acl_rule"] or "",
        each["upstream"] or "",
    )


def _source(each: dict[str, Any]) -> str:
    return str(Endpoint(each["source_ip"], each["source_port"]))


def _destination(each: dict[str, Any]) -> str:
    return str(Endpoint(each["destination"], each["dest_port"])) if each["destination"] else ""


def _tell(events: Iterable[dict[str, Any]], output: Output) -> None:
    """Write each session that is there, begins or ends."""
    if output.format in (Format.TABLE, Format.PLAIN):
        for line in map(_line, _told(events)):
            write(line)
    elif output.format is Format.CSV:
        # What could not be told fits into no column.
        output.stream(each for each in _told(events) if "event" in each)
    else:
        output.stream(_told(events))


def _told(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each session that is there, begins or ends; and how many could not be told."""
    for event in events:
        if "dropped" in event:
            yield event
            continue
        for kind in ("live", "began", "ended"):
            for session in event.get(kind, ()):
                yield {"event": kind} | session
        missed = {kind: count for kind, count in event["not_told"].items() if count and kind != "updated"}
        if missed:
            yield {"not_told": missed}


def _line(told: dict[str, Any]) -> str:
    if "dropped" in told:
        return f"{told['dropped']} events were not told"
    if "not_told" in told:
        return "and more: " + ", ".join(f"{count} {kind}" for kind, count in told["not_told"].items())
    when = told["end_time"] or told["start_time"]
    words = [when, told["event"], told["id"], told["user"], _source(told), _destination(told)]
    words += [str(told["bytes_sent"]), str(told["bytes_received"]), told["status"], told["reason"] or ""]
    return "\t".join(one_line(word) for word in words)
