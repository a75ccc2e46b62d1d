"""The picture of `vpn monitor`, drawn from what the API tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vpn.cli.columns import Column, table
from vpn.cli.live_view import clock, keys, title
from vpn.cli.output import bar, cell_width, one_line
from vpn.cli.screen import Line, Size
from vpn.domain.units import rounded_rate, rounded_size, show_duration

ORDERS = ("rate", "sessions", "name")
_WIDE = 140  # columns from which on two tables stand side by side
_WORKERS = (
    Column("PROCESS", 9),
    Column("PID", 8, right=True),
    Column("STATE", 8),
    Column("SESSIONS", 8, right=True),
    Column("CPU", 6, right=True),
    Column("MEMORY", 9, right=True),
    Column("FILES", 6, right=True),
    Column("LAG", 8, right=True),
    Column("RESTARTS", 8, right=True),
)
_UPSTREAMS = (
    Column("UPSTREAM", 0),
    Column("STATE", 8),
    Column("MADE", 8, right=True),
    Column("READY", 6, right=True),
    Column("FAILED", 7, right=True),
)
_REFUSALS = (Column("REFUSED", 8), Column("USER", 12), Column("DESTINATION", 0), Column("REASON", 24))


def picture(overview: dict[str, Any], size: Size, order: str, note: str = "") -> list[Line]:
    """All lines, for a terminal of this size; `note` is of what is wrong, or that it is paused."""
    columns, rows = size
    lines = [_title(overview, columns), *_counters(overview), *([Line(one_line(note), "bad")] if note else [])]
    lines += [Line(""), *_processes(overview, columns, max(2, (rows - 16) // 2))]
    if overview["upstreams"]:
        lines += [Line(""), *table(_UPSTREAMS, map(_upstream, overview["upstreams"][:4]), columns)]
    left = max(0, rows - len(lines) - 1)
    lines += _tables(overview, columns, left)
    lines = lines[: rows - 1] + [Line("")] * (rows - 1 - len(lines))
    return [*lines, keys(ORDERS, order)]


def _title(overview: dict[str, Any], columns: int) -> Line:
    left = f" vpn-manager {one_line(overview['version'])}  {one_line(overview['status'])}  "
    left += f"up {show_duration(int(overview['uptime_seconds']))}"
    return title(left, overview["counters"]["time"], columns, "title" if overview["status"] == "ok" else "bad")


def _counters(overview: dict[str, Any]) -> list[Line]:
    counters, used = overview["counters"], overview["resources"]
    return [
        Line(
            f"sessions  {counters['active_sessions']:,} live, {counters['session_rate']:,.1f} new/s, "
            f"{counters['total_sessions']:,} in all, {counters['rejected']:,} refused"
        ),
        Line(
            f"traffic   ↑ {_rate(counters['rate_sent'])}  ↓ {_rate(counters['rate_received'])}  "
            f"({rounded_size(counters['bytes_sent'])} sent, {rounded_size(counters['bytes_received'])} received)"
        ),
        Line(
            f"machine   CPU {used['system_cpu_percent']:.0f} % of {used['system_cores']}, "
            f"load {used['load_average_1m']:.2f}, memory {used['system_ram_percent']:.0f} % "
            f"of {rounded_size(used['system_ram_total_bytes'])}, disk {rounded_size(used['disk_free_bytes'])} free"
        ),
    ]


def _processes(overview: dict[str, Any], columns: int, most: int) -> list[Line]:
    """The daemon and at most so many workers."""
    daemon, workers = overview["resources"]["daemon"], overview["workers"]
    rows = [("daemon", daemon["pid"], "", "", _percent(daemon), _memory(daemon), _files(daemon), "", "")]
    for each in workers[:most]:
        lag = "" if each["loop_lag_ms"] is None else f"{each['loop_lag_ms']:.1f} ms"
        state = "serving" if each["ready"] else "down"
        named = (f"worker {each['number']}", each["pid"] or "", state, f"{each['active_sessions']:,}")
        rows.append((*named, _percent(each), _memory(each), _files(each), lag, each["restarts"]))
    lines = table(_WORKERS, rows, columns)
    if len(workers) > most:
        lines.append(Line(f"and {len(workers) - most} workers more", "faint"))
    return lines


def _tables(overview: dict[str, Any], columns: int, rows: int) -> list[Line]:
    """Users, destinations and refusals, in so many rows."""
    refusals = overview["refusals"]
    # A blank line and a header each; what is left is shared.
    if columns >= _WIDE:
        below = min(len(refusals), max(0, rows - 4) // 3)
        most = max(0, rows - 4 - below)
        half = (columns - 4) // 2
        left = _busiest("USER", overview["users"][:most], half)
        right = _busiest("DESTINATION", overview["destinations"][:most], half)
        lines = [Line(""), *_beside(left, right, half)]
    else:
        below = min(len(refusals), max(0, rows - 6) // 4)
        most = max(0, rows - 6 - below)
        users = overview["users"][: max(most - len(overview["destinations"]), (most + 1) // 2)]
        lines = [Line(""), *_busiest("USER", users, columns), Line("")]
        lines += _busiest("DESTINATION", overview["destinations"][: most - len(users)], columns)
    if refusals:
        lines += [Line(""), *table(_REFUSALS, map(_refusal, refusals[:below]), columns)]
    return lines


def _busiest(heading: str, busy: Sequence[dict[str, Any]], columns: int) -> list[Line]:
    room = min(30, max(0, columns - 70))
    layout = [
        Column(heading, 0),
        Column("SESSIONS", 8, right=True),
        Column("UP", 13, right=True),
        Column("DOWN", 13, right=True),
        Column("", room or 10),
    ]
    most = max((each["rate_sent"] + each["rate_received"] for each in busy), default=0) or 1
    rows = [
        (
            each["name"],
            f"{each['sessions']:,}",
            _rate(each["rate_sent"]),
            _rate(each["rate_received"]),
            bar((each["rate_sent"] + each["rate_received"]) / most, room or 10),
        )
        for each in busy
    ]
    return table(layout, rows, columns)


def _beside(left: Sequence[Line], right: Sequence[Line], half: int) -> list[Line]:
    blank = Line("")
    count = max(len(left), len(right))
    pairs = zip([*left, *[blank] * (count - len(left))], [*right, *[blank] * (count - len(right))], strict=True)
    return [Line(f"{one.text}{' ' * (half - cell_width(one.text))}    {two.text}", one.style) for one, two in pairs]


def _upstream(each: dict[str, Any]) -> tuple[Any, ...]:
    return each["name"], "ok" if each["healthy"] else "failed", each["opened"], each["idle"], each["failed"]


def _refusal(each: dict[str, Any]) -> tuple[Any, ...]:
    return clock(each["time"]), each["user"], each["destination"], each["reason"]


def _rate(bytes_per_second: float) -> str:
    return rounded_rate(8 * bytes_per_second)


def _percent(process: dict[str, Any]) -> str:
    return "" if process["cpu_percent"] is None else f"{process['cpu_percent']:.0f} %"


def _memory(process: dict[str, Any]) -> str:
    return "" if process["ram_bytes"] is None else rounded_size(process["ram_bytes"])


def _files(process: dict[str, Any]) -> Any:
    return "" if process["descriptors"] is None else process["descriptors"]
