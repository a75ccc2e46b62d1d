import io
import json
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.cli.output import Format
from vpn.cli.row_files import LARGEST, format_of, read_file, text_of, write_file
from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.limits import Limits
from vpn.domain.roster import read_rows, write_row
from vpn.domain.user import User
from vpn.domain.user_changes import change_user

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def read(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_file(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_as_spreadsheets_write_it(tmp_path, separator):
    lines = ["\ufeffName,Data Limit,expires-at", "alice,50GB,", "", "bob, ,30d", ""]
    text = "\r\n".join(lines).replace(",", separator)
    assert read(tmp_path, "a.csv", text) == [
        {"row": 2, "name": "alice", "limits": {"data_limit": "50GB"}},
        {"row": 4, "name": "bob", "limits": {"expires_at": "30d"}},
    ]


def test_a_row_of_several_lines_is_named_by_its_first(tmp_path):
    rows = read(tmp_path, "a.csv", 'name,note\nalice,"a\nb"\nbob,\n')
    assert [(row["row"], row.get("note")) for row in rows] == [(2, "a\nb"), (4, None)]


def test_a_row_may_be_shorter_than_the_header(tmp_path):
    assert read(tmp_path, "a.csv", "name,note,down\nalice\n") == [{"row": 2, "name": "alice"}]


def test_csv_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"name\nalice\n")))
    from pathlib import Path

    assert read_file(Path("-")) == [{"row": 2, "name": "alice"}]


def test_yaml_with_lines_and_dates(tmp_path):
    text = "# people\n- name: alice\n  expires_at: 2026-12-31\n\n- name: bob\n  limits: {down: 20mbit}\n  up: 8000\n"
    assert read(tmp_path, "a.yaml", text) == [
        {"row": 2, "name": "alice", "limits": {"expires_at": "2026-12-31"}},
        {"row": 5, "name": "bob", "limits": {"down": "20mbit", "up": 8000}},
    ]


def test_json_by_place(tmp_path):
    assert read(tmp_path, "a.json", '[{"name": "alice"}, {"name": "bob", "down": 8000}]') == [
        {"row": 1, "name": "alice"},
        {"row": 2, "name": "bob", "limits": {"down": 8000}},
    ]


def test_a_value_of_the_wrong_kind_is_left_to_the_api(tmp_path):
    [row] = read(tmp_path, "a.json", '[{"name": "a", "limits": 5, "down": 8000}]')
    assert row == {"row": 1, "name": "a", "limits": 5, "down": 8000}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "name,speed\n", "a.csv:1: 'speed' is not a column"),
        ("a.csv", "name,name\n", "a.csv:1: the column name is there twice"),
        ("a.csv", "name\nalice\nbob,x\n", "a.csv:3: 2 cells, and only 1 columns"),
        ("a.csv", 'name\n"alice', "a.csv:2: unexpected end of data"),
        ("a.csv", "name\n" + "x" * 200_000, "a.csv:2: field larger"),
        ("a.csv", b"name\n\xff\n", "a.csv: byte 5 is not UTF-8"),
        ("a.csv", b"x" * (LARGEST + 1), "larger than"),
        ("a.txt", "", ".txt is no known format"),
        ("users", "", "no suffix is no known format"),
        ("a.json", "[", "a.json:1: Expecting value"),
        ("a.json", "{}", "not a list of users"),
        ("a.json", "[1]", "not a list of users"),
        ("a.json", "[" * 100_000, "a.json: RecursionError"),
        ("a.yaml", "- name: [", "a.yaml:1: "),
        ("a.yaml", "name: alice", "not a list of users"),
        ("a.yaml", "- {name: alice, name: topsecret}", "a.yaml:1: found duplicate key"),
    ],
)
def test_what_cannot_be_read_says_where(tmp_path, name, text, problem):
    with pytest.raises(Invalid) as caught:
        read(tmp_path, name, text)
    assert problem in caught.value.message
    assert "topsecret" not in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Unavailable):
        read_file(tmp_path / "a.csv")
    with pytest.raises(Unavailable):
        write_file(tmp_path / "no" / "a.csv", "")


def test_only_the_owner_reads_what_is_written(tmp_path):
    write_file(tmp_path / "a.csv", "name\n")
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600


def user(**fields):
    return User(
        **{"name": "alice", "password_hash": "", "credential": 1, "enabled": True, "note": "", "limits": Limits()}
        | {"created_at": NOW, "updated_at": NOW}
        | fields
    )


NOTES = st.text(st.characters(exclude_categories=("C",)), max_size=20).map(str.strip)
FULL = user(
    enabled=False,
    groups=("staff", "eu"),
    limits=Limits(down=0, sources=(), hours=("mon,wed 08:00-12:00", "fri"), data_limit=10**9, expires_at=NOW),
    first_used_at=NOW,
)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".yaml"])
@pytest.mark.parametrize("users", [[], [FULL], [FULL, user(name="bob")]])
def test_what_is_written_is_read(tmp_path, suffix, users):
    path = tmp_path / f"a{suffix}"
    rows = json.loads(json.dumps([write_row(each, with_hash=False) for each in users]))  # as from the API
    write_file(path, text_of(rows, format_of(path)))
    read = read_rows(read_file(path), {"staff", "eu"}, NOW)
    made = [change_user(user(name=row.name, first_used_at=row.first_used_at), row.fields(), NOW) for row in read]
    assert made == users


@given(st.sampled_from(["", "=", "'", "'=", "''=", "+1", "@x", "-", "x"]), NOTES)
def test_no_note_is_a_formula_and_all_come_back(tmp_path_factory, start, rest):
    note = (start + rest).strip()
    text = text_of([write_row(user(note=note), with_hash=False)], Format.CSV)
    path = tmp_path_factory.mktemp("notes") / "a.csv"
    write_file(path, text)
    [row] = read_file(path)
    assert row.get("note", "") == note
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in text.splitlines()[-1].split(","))
