import csv
import json

import pytest
from ruamel.yaml import YAML

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


def test_what_comes_one_after_the_other(capsys):
    rows = [{"name": "a\x07", "at": {"x": 1}, "in": [{"y": 2}]}, {"name": "=b", "at": {"x": 3}, "in": []}]
    written = {}
    for format in (Format.JSON, Format.YAML, Format.CSV, Format.PLAIN):
        Output(format).stream(rows)
        written[format] = capsys.readouterr().out
    assert [json.loads(line) for line in written[Format.JSON].splitlines()] == rows
    assert list(YAML().load_all(written[Format.YAML])) == rows
    assert written[Format.CSV].splitlines()[0] == "name,at.x,in"
    assert list(csv.reader(written[Format.CSV].splitlines()))[2] == ["'=b", "3", ""]
    assert written[Format.PLAIN].splitlines() == ['a\ufffd\t1\t[{"y": 2}]', "=b\t3\t[]"]


def test_lists_of_things_within_a_record_are_json(capsys):
    record = {"top": [{"user": "alice", "sessions": 1}, {"user": None, "sessions": 2}]}
    Output(Format.CSV).record(record)
    (_, (cell,)) = csv.reader(capsys.readouterr().out.splitlines())
    assert [json.loads(each) for each in cell.split("; ")] == record["top"]
    Output(Format.PLAIN).record(record)
    assert [json.loads(line.split("\t")[1]) for line in capsys.readouterr().out.splitlines()] == record["top"]
