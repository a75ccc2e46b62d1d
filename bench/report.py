"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from bench.peers import Peer
from bench.rounds import Results
from bench.scenarios import Cell, Scenario

UNITS = {"rate": "conn/s", "bulk": "MB/s", "hold": "echo/s", "udp": "datagrams/s"}
SERVICES = {
    "socks5": "SOCKS5",
    "socks5-tls": "SOCKS5 over TLS",
    "http": "HTTP CONNECT",
    "http-tls": "HTTP CONNECT over TLS",
    "udp": "SOCKS5 UDP ASSOCIATE",
}
KINDS = {
    "rate": "64 clients connect, open a tunnel, have 64 bytes echoed, close, and begin again.",
    "bulk": "4 tunnels download as fast as they can.",
    "hold": "{tunnels:,} tunnels are held open; echoes of 64 bytes over them in turn, 64 in flight.",
    "udp": "4 associations, 32 datagrams of 512 bytes in flight on each.",
}
Column = tuple[str, Callable[[Sequence[Cell]], str]]


def _middle(figure: str, scale: float, form: str) -> Callable[[Sequence[Cell]], str]:
    """The median of a figure; nothing where it does not apply."""

    def show(cells: Sequence[Cell]) -> str:
        values = [cell.figures[figure] * scale for cell in cells if figure in cell.figures]
        return format(median(values), form) if values else ""

    return show


def _errors(cells: Sequence[Cell]) -> str:
    return f"{sum(cell.errors for cell in cells):,}"


_LATENCIES: list[Column] = [("p50 ms", _middle("p50_us", 1e-3, ".2f")), ("p99 ms", _middle("p99_us", 1e-3, ".2f"))]
COLUMNS: dict[str, list[Column]] = {
    "rate": [("CPU µs per connection", _middle("cpu_each", 1e6, ".0f")), *_LATENCIES, ("errors", _errors)],
    "bulk": [("CPU s per GB", _middle("cpu_each", 1e9, ".2f")), ("errors", _errors)],
    "hold": [
        *_LATENCIES,
        ("opened in s", _middle("opening_seconds", 1, ".2f")),
        ("MB idle", _middle("idle_bytes", 1e-6, ".0f")),
        ("MB holding", _middle("loaded_bytes", 1e-6, ".0f")),
        ("kB per tunnel", _middle("tunnel_bytes", 1e-3, ".1f")),
        ("errors", _errors),
    ],
    "udp": [
        ("CPU µs per datagram", _middle("cpu_each", 1e6, ".1f")),
        *_LATENCIES,
        ("lost %", _middle("lost", 100, ".2f")),
        ("errors", _errors),
    ],
}


def speed(scenario: Scenario, cell: Cell) -> float:
    """In the unit of the scenario."""
    return cell.speed / 1e6 if scenario.kind == "bulk" else cell.speed


def title(scenario: Scenario) -> str:
    """What is compared, e.g. "rate, SOCKS5"."""
    return f"{scenario.kind}, {SERVICES[scenario.service]}"


def page(results: Results, about: Mapping[str, str], tunnels: int, plot: str) -> str:
    """All tables, with what is needed to read them."""
    parts = ["# Results", "", "Written by `make bench`; [README.md](README.md) says what is measured and how.", ""]
    parts += [f"- **{name}:** {value}" for name, value in about.items()]
    parts += ["", *_how_to_read(results), "", f"![All speeds, as bars]({plot})", ""]
    for scenario in results.scenarios:
        parts += _section(results, scenario, tunnels)
    return "\n".join(parts).rstrip() + "\n"


def _how_to_read(results: Results) -> list[str]:
    usual, worst = results.others()
    return [
        f"Medians of {results.rounds} rounds, each of which measured every server in turn; "
        "the least and the most of the rounds beside them. "
        "A ratio is taken within each round: above 1, we are faster. CPU and memory are of all the server's processes, "
        "and of nothing else; memory is PSS, without the kernel's buffers. "
        "≥: the load generator or the target was busy all the time, so the server may be faster than that. "
        f"Other programs took {usual:.0%} of the processor's time meanwhile (median), at worst {worst:.0%}; "
        "the kernel tracked no connections; every byte was checked.",
    ]


def _section(results: Results, scenario: Scenario, tunnels: int) -> list[str]:
    rows = results.rows(scenario)
    lines = [f"## {title(scenario)}", "", KINDS[scenario.kind].format(tunnels=tunnels), ""]
    if rows:
        lines += _table(results, scenario, rows)
    for peer, cells in rows:
        failures = [cell.first_failure for cell in cells if cell.errors]
        if failures:
            lines.append(f"- {peer.name}: errors, such as: {failures[0]}")
    for peer in results.peers:
        reason = results.missing.get((scenario, peer))
        if reason:
            lines.append(f"- {peer.name}: {reason}")
    return [*lines, ""]


def _table(results: Results, scenario: Scenario, rows: Sequence[tuple[Peer, list[Cell]]]) -> list[str]:
    ours = [peer for peer, _ in rows if peer.ours]
    head = ["server", UNITS[scenario.kind], "least to most", *(f"{peer.name} ÷ it" for peer in ours)]
    head += [name for name, _ in COLUMNS[scenario.kind]]
    lines = [_row(head), _row(["---"] + ["--:"] * (len(head) - 1))]
    for peer, cells in rows:
        speeds = [speed(scenario, cell) for cell in cells]
        mark = "≥ " if any(cell.bounded for cell in cells) else ""
        ratios = ["" if one is peer else _ratio(results.ratios(scenario, one, peer)) for one in ours]
        figures = [show(cells) for _, show in COLUMNS[scenario.kind]]
        middle, spread = f"{mark}{median(speeds):,.0f}", f"{min(speeds):,.0f} to {max(speeds):,.0f}"
        lines.append(_row([f"**{peer.name}**" if peer.ours else peer.name, middle, spread, *ratios, *figures]))
    return [*lines, ""]


def _ratio(ratios: Sequence[float]) -> str:
    if not ratios:
        return ""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
