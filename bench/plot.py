"""The speeds as bars, in SVG: one panel for each scenario, the median as a bar, the extremes as a line over it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import median

from bench.peers import NO_PROXY, Peer
from bench.report import UNITS, speed, title
from bench.rounds import Results
from bench.scenarios import Cell, Scenario

WIDTH, MARGIN = 860, 24
PANELS = 2  # side by side
GAP = 32
PANEL = (WIDTH - 2 * MARGIN - (PANELS - 1) * GAP) / PANELS
NAMES = 104  # room for the names, at the left of the bars
VALUES = 62  # room for the figures, at their right
BAR, STEP, HEAD = 14, 21, 34

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 13px } .name { text-anchor: end } .unit { fill: #6e7781; font-weight: 400 }
  .bar { fill: #b8c0c8 } .ours { fill: #2f6fde } .bare { fill: none; stroke: #b8c0c8; stroke-dasharray: 3 2 }
  .spread { stroke: #24292f; stroke-width: 1.2 }
"""


def drawing(results: Results) -> str:
    """The whole picture."""
    panels = [(scenario, rows) for scenario in results.scenarios if (rows := results.rows(scenario))]
    parts, top = [], float(MARGIN)
    for first in range(0, len(panels), PANELS):
        line = panels[first : first + PANELS]
        for place, (scenario, rows) in enumerate(line):
            parts += _panel(scenario, rows, MARGIN + place * (PANEL + GAP), top)
        top += HEAD + STEP * max(len(rows) for _, rows in line) + MARGIN / 2
    box = f"0 0 {WIDTH} {top + MARGIN / 2:.0f}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{WIDTH}"><style>{STYLE}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>"]) + "\n"


def _panel(scenario: Scenario, rows: Sequence[tuple[Peer, list[Cell]]], left: float, top: float) -> list[str]:
    speeds = [(peer, [speed(scenario, cell) for cell in cells]) for peer, cells in rows]
    most = max(max(values) for _, values in speeds) or 1
    scale = (PANEL - NAMES - VALUES) / most
    unit = f'<tspan class="unit" dx="7">{UNITS[scenario.kind]}</tspan>'
    parts = [f'<text class="title" x="{left:.0f}" y="{top + 14:.0f}">{escape(title(scenario))}{unit}</text>']
    for number, (peer, values) in enumerate(speeds):
        parts += _bar(peer, values, left + NAMES, top + HEAD + number * STEP - 6, scale)
    return parts


def _bar(peer: Peer, values: Sequence[float], left: float, top: float, scale: float) -> list[str]:
    kind = "ours" if peer.ours else "bare" if peer is NO_PROXY else "bar"
    middle, low, high = (left + value * scale for value in (median(values), min(values), max(values)))
    line, centre = top + BAR - 3, top + BAR / 2
    return [
        f'<text class="name" x="{left - 8:.0f}" y="{line:.1f}">{escape(peer.name)}</text>',
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{middle - left:.1f}" height="{BAR}"/>',
        f'<path class="spread" d="M{low:.1f} {centre:.1f}H{high:.1f}"/>',
        f'<text x="{max(middle, high) + 6:.1f}" y="{line:.1f}">{median(values):,.0f}</text>',
    ]
