import pytest

from vpn.cli.charts import Line, chart, sparkline, terminal_width
from vpn.cli.output import cell_width

LINES = [
    Line("alice", ["12", "1.0 GB"], 100),
    Line("a-name-that-is-rather-long.example.com", ["1", "1 B"], 1),
    Line("\u4e2d\u6587\x1b[2J", ["0", "0 B"], 0),
]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_chart_is_no_wider_than_the_terminal(width):
    lines = list(chart(["NAME", "SESSIONS", "BYTES"], LINES, width))
    assert all(cell_width(line) <= width for line in lines)
    assert len(lines) == 4
    assert lines[0].split() == ["NAME", "SESSIONS", "BYTES"]
    assert "alice" in lines[1] and lines[1].endswith("█")
    assert "\x1b" not in "".join(lines)
    columns = [
        line.index(cell) + len(cell) for line, cell in zip(lines, ("BYTES", "1.0 GB", "1 B", "0 B"), strict=True)
    ]
    widths = [cell_width(line[:column]) for line, column in zip(lines, columns, strict=True)]
    assert len(set(widths)) == 1, "the last column is aligned"


def test_with_room_names_are_whole_and_bars_longer():
    narrow, wide = (list(chart(["NAME", "SESSIONS", "BYTES"], LINES, width)) for width in (40, 120))
    assert "…" in narrow[2]
    assert "a-name-that-is-rather-long.example.com" in wide[2]
    assert narrow[1].count("█") < wide[1].count("█") <= 30


def test_where_there_is_no_room_at_all_the_figures_stay():
    lines = list(chart(["NAME", "SESSIONS", "BYTES"], LINES, 10))
    assert "12" in lines[1] and "1.0 GB" in lines[1] and "█" not in lines[1]


def test_nothing_moved_makes_no_bars():
    assert list(chart(["NAME", "N"], [Line("a", ["0"], 0)], 80)) == ["NAME  N", "a     0"]
    assert list(chart(["NAME", "N"], [], 80)) == ["NAME  N"]


@pytest.mark.parametrize(
    ("amounts", "width", "drawn"),
    [
        ([], 10, ""),
        ([0, 0], 10, "▁▁"),
        ([0, 1, 2, 4, 8], 10, "▁▂▃▅█"),
        ([5], 10, "█"),
        ([0, 0, 8, 8], 2, "▁█"),
        (range(100), 4, "▂▄▆█"),
        (range(6), 4, "▁▅█"),
        ([1, 2], 0, "█"),
    ],
)
def test_sparklines(amounts, width, drawn):
    assert sparkline(list(amounts), width) == drawn


def test_the_terminals_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "33")
    assert terminal_width() == 33
