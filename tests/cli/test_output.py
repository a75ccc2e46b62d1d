import json

import pytest

from vpn.cli.output import Format, Output, bar, csv_text

ROWS = [{"name": "a", "on": True, "note": "\u4e2d\u6587"}, {"name": "long name", "on": False, "note": "evil\x1b[2J\n"}]


def test_tables_are_aligned_by_what_is_seen(capsys):
    Output(Format.TABLE).rows(ROWS, ("note", "name", "on"), empty="-")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NOTE       NAME       ON"
    assert lines[1] == "\u4e2d\u6587       a          yes"
    assert lines[2] == "evil\ufffd[2J\ufffd  long name  no"


def test_a_narrow_terminal_shortens_the_last_column(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    Output(Format.TABLE).rows([{"name": "abc", "note": "x" * 50}], ("name", "note"), empty="-")
    assert max(map(len, capsys.readouterr().out.splitlines())) == 20


def test_plain_is_one_line_a_thing(capsys):
    Output(Format.PLAIN).rows(ROWS, ("name", "note"), empty="-")
    assert capsys.readouterr().out == "a\t\u4e2d\u6587\nlong name\tevil\ufffd[2J\ufffd\n"
    Output(Format.PLAIN).record({"a_b": 1, "c": None})
    assert capsys.readouterr().out == "a_b\t1\nc\tNone\n"
    Output(Format.PLAIN).record({"links": ["x", "y"]})
    assert capsys.readouterr().out == "links\tx\nlinks\ty\n"


@pytest.mark.parametrize("rows", [[], ROWS])
def test_json_is_whole_and_exact(capsys, rows):
    Output(Format.JSON).rows(rows, ("name",), empty="-")
    assert json.loads(capsys.readouterr().out) == rows


def test_sentences_are_for_people(capsys):
    for format in Format:
        Output(format).sentence("done")
    assert capsys.readouterr().out == "done\n"


def test_csv_for_spreadsheets_computes_nothing():
    rows = [{"name": "a", "on": True, "in": ["x", "y"], "note": "=1+1"}, {"name": "b", "note": "'=x"}, {"note": None}]
    assert csv_text(rows, ("name", "on", "in", "note")).splitlines() == [
        "name,on,in,note",
        "a,yes,x; y,'=1+1",
        "b,,,''=x",
        ",,,",
    ]


def test_records_within_records_for_programs(capsys):
    Output(Format.PLAIN).record({"name": "a", "limits": {"down": 5, "sources": ["x", "y"]}})
    assert capsys.readouterr().out == "name\ta\nlimits.down\t5\nlimits.sources\tx\nlimits.sources\ty\n"
    Output(Format.CSV).record({"name": "a", "limits": {"down": 5}})
    assert capsys.readouterr().out == "name,limits.down\na,5\n"
    Output(Format.CSV).rows([{"name": "a"}], ("name",), empty="")
    assert capsys.readouterr().out == "name\na\n"


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (0.5, "██"), (1, "████"), (2, "████"), (-1, ""), (1 / 32, "▏"), (0.3, "█▎")]
)
def test_bars(share, drawn):
    assert bar(share, 4) == drawn
