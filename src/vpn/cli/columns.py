"""Tables for a screen: columns of fixed width, but for one that takes what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from vpn.cli.output import cell_width, fit, one_line
from vpn.cli.screen import Line


class Column(NamedTuple):
    """A column of a table."""

    title: str
    width: int
    """In terminal cells; 0: what is left."""
    right: bool = False
    """Whether it is aligned to the right, as numbers are."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[Any]], width: int) -> list[Line]:
    """The header and the rows, in so many cells; where there is no room, the last columns go.

    They go, too, where the column that takes what is left would have less than a fifth of it all.
    """
    shown, least = list(columns), max(_LEAST, width // 5)
    while len(shown) > 1 and _needed(shown, least) > width:
        shown.pop()
    left = max(1, width - _needed(shown, 0))
    widths = [column.width or left for column in shown]
    lines = [Line(_row(shown, widths, [column.title for column in shown]), "strong")]
    return lines + [Line(_row(shown, widths, row)) for row in rows]


_LEAST = 12  # cells of the column that takes what is left


def _needed(columns: Sequence[Column], least: int) -> int:
    return sum(column.width or least for column in columns) + 2 * (len(columns) - 1)


def _row(columns: Sequence[Column], widths: Sequence[int], row: Sequence[Any]) -> str:
    texts = [one_line(value) for value in row]
    return "  ".join(
        " " * (width - cell_width(text)) + text if column.right and cell_width(text) <= width else fit(text, width)
        for column, width, text in zip(columns, widths, texts, strict=False)
    )
