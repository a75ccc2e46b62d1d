import pytest

from vpn.cli.columns import Column, table
from vpn.cli.output import cell_width

COLUMNS = (Column("NAME", 0), Column("COUNT", 8, right=True), Column("REASON", 10))


def texts(rows, width):
    return [line.text for line in table(COLUMNS, rows, width)]


def test_one_column_takes_what_is_left():
    assert texts([("alice", 12, "eof")], 40) == [
        "NAME                   COUNT  REASON    ",
        "alice                     12  eof       ",
    ]


def test_the_last_columns_go_where_there_is_no_room():
    assert texts([("alice", 12, "eof")], 24) == ["NAME               COUNT", "alice                 12"]
    assert texts([("alice", 12, "eof")], 8) == ["NAME    ", "alice   "]


def test_what_is_left_is_enough_for_a_name():
    columns = (Column("NAME", 0), *(Column(f"N{number}", 8) for number in range(20)))
    for width in (80, 120, 180):
        (header,) = table(columns, [], width)
        assert header.text.index("N0") >= width // 5


@pytest.mark.parametrize(
    "name", ["a" * 100, "日本語の名前" * 9, "e\u0301" * 60, "\x1b[31mred\r\n", "\u202ereversed", "\udc80"]
)
@pytest.mark.parametrize("width", [1, 12, 40, 80, 200])
def test_a_line_is_as_wide_as_it_is_said_to_be_and_moves_no_cursor(name, width):
    for text in texts([(name, 1, name)], width):
        assert cell_width(text) == width
        assert text.isprintable()
