"""Figures drawn in text, as wide as the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vpn.cli.output import bar, cell_width, fit, one_line

_GAP = "  "
_LEAST_LABEL = 8  # cells
_LEAST_BAR = 5
_MOST_BAR = 30
_STEPS = "▁▂▃▄▅▆▇█"


class Line(NamedTuple):
    """One line of a chart."""

    label: str
    cells: Sequence[str]
    amount: float
    """What its bar shows."""


def terminal_width() -> int:
    """Cells of the terminal; 80, if there is none."""
    return shutil.get_terminal_size().columns


def chart(titles: Sequence[str], lines: Sequence[Line], width: int) -> Iterator[str]:
    """A table with a bar at the end of each line, the longest for the largest amount.

    Long labels give way first, then the bars; `titles` are of the label and the cells.
    """
    labels = [one_line(line.label) for line in lines]
    columns = [titles[1:], *(line.cells for line in lines)]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    left = width - sum(widths) - len(_GAP) * len(widths)
    longest = max(map(cell_width, [titles[0], *labels]))
    first = min(longest, max(_LEAST_LABEL, left - len(_GAP) - _LEAST_BAR))
    room = min(_MOST_BAR, left - first - len(_GAP))
    most = max((line.amount for line in lines), default=0)
    for label, line in zip([titles[0], *labels], [None, *lines], strict=True):
        texts = titles[1:] if line is None else line.cells
        cells = [cell.rjust(size) for cell, size in zip(texts, widths, strict=True)]
        share = line.amount / most if line is not None and most else 0
        drawn = bar(share, room) if room >= _LEAST_BAR else ""
        yield _GAP.join([fit(label, first), *cells, drawn]).rstrip()


def sparkline(amounts: Sequence[float], width: int) -> str:
    """A line of as many columns as there are amounts; where they are more than fit, each stands for several."""
    together = max(1, -(-len(amounts) // max(1, width)))
    groups = [amounts[at : at + together] for at in range(0, len(amounts), together)]
    means = [sum(group) / len(group) for group in groups]
    most = max(means, default=0)
    return "".join(_STEPS[min(7, int(mean / most * 8)) if most else 0] for mean in means)
