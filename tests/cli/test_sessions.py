import asyncio
import csv
import io
import json

import pytest

from tests.support.sessions import START, make_session
from vpn.api.schemas.sessions import SessionView
from vpn.domain.session import first_id, show_id
from vpn.store.database import Database, sqlite_url
from vpn.store.sessions import Batch, SessionStore


def session(number, **fields):
    return make_session(first_id(START + number), started=START + number, ended=START + number + 2, **fields)


@pytest.fixture
def stored(vpn, tmp_path):
    """Sessions of an earlier daemon."""
    vpn("users", "list")  # which makes the database
    sessions = [session(number, bytes_sent=number, host=f"host{number}.net") for number in range(5)]
    sessions += [session(5, user="", host="", port=0, status="failed"), session(6, host="=evil\n\x1b[31m", user="bob")]

    async def store():
        database = Database(sqlite_url(tmp_path / "data" / "vpn.db"))
        await SessionStore(database).write([Batch(1, 8, sessions)])
        await database.close()

    asyncio.run(store())
    return sessions


def test_where_there_are_none(vpn):
    assert vpn("sessions", "list").out == "No sessions.\n"
    assert len(vpn("sessions", "export").out.splitlines()) == 1
    assert vpn("sessions", "show", "0000000000000001").code == 4


def test_a_list(vpn, stored):
    header, *lines = vpn("sessions", "list").out.splitlines()
    assert header.split() == ["ID", "START", "USER", "DESTINATION", "STATUS", "SENT", "RECEIVED", "LASTED"]
    assert [line.split()[0] for line in lines] == [show_id(each.id) for each in stored[::-1]]
    assert "host3.net:443" in lines[3]
    assert "\x1b" not in lines[0]
    assert " -  " in lines[1]


@pytest.mark.parametrize(
    ("options", "places"),
    [
        (["--user", "bob"], [6]),
        (["--destination", "host3.net"], [3]),
        (["--status", "failed"], [5]),
        (["--inbound", "none"], []),
        (["--search", "HOST4"], [4]),
        (["--since", "1m"], []),
        (["--since", "2026-09-21T14:13:24Z", "--until", "2026-09-21T14:13:26Z"], [5, 4]),
        (["--limit", "2"], [6, 5]),
        (["--sort", "bytes_sent", "--limit", "2"], [4, 3]),
        (["--sort", "bytes_sent", "--ascending", "--search", "host", "--limit", "2"], [0, 1]),
    ],
)
def test_filters_and_orders(vpn, stored, options, places):
    result = vpn("sessions", "list", "--format", "json", *options)
    assert [each["id"] for each in json.loads(result.out)] == [show_id(stored[place].id) for place in places]


def test_more_than_a_page(vpn, stored, monkeypatch):
    monkeypatch.setattr("vpn.api.client.PAGE", 3)
    monkeypatch.setattr("vpn.api.client.EXPORTED", 3)
    assert len(json.loads(vpn("sessions", "list", "--format", "json").out)) == 7
    assert len(vpn("sessions", "export", "--format", "json").out.splitlines()) == 7
    assert len(json.loads(vpn("sessions", "list", "--limit", "5", "--format", "json").out)) == 5


def test_one_of_them(vpn, stored):
    result = vpn("sessions", "show", show_id(stored[3].id))
    assert "destination       host3.net" in result.out
    assert "upstream" not in result.out
    shown = json.loads(vpn("sessions", "show", show_id(stored[3].id), "--format", "json").out)
    assert (shown["bytes_sent"], shown["upstream"]) == (3, None)


def test_an_export(vpn, stored, tmp_path):
    rows = list(csv.DictReader(io.StringIO(vpn("sessions", "export", "--user", "bob").out)))
    assert [row["destination"][:6] for row in rows] == ["'=evil"]
    table, lines = tmp_path / "s.csv", tmp_path / "s.jsonl"
    assert vpn("sessions", "export", "--file", str(table)).out == f"Wrote 7 sessions to {table}.\n"
    assert len(list(csv.DictReader(io.StringIO(table.read_text())))) == 7
    vpn("sessions", "export", "--file", str(lines), "--destination", "host0.net")
    assert [json.loads(line)["destination"] for line in lines.read_text().splitlines()] == ["host0.net"]


def test_an_export_of_nothing_has_its_header(vpn, stored):
    (header,) = vpn("sessions", "export", "--user", "nobody").out.splitlines()
    assert header.split(",") == list(SessionView.model_fields)
    assert vpn("sessions", "export", "--user", "nobody", "--format", "json").out == ""
    assert vpn("sessions", "export", "--format", "yaml").code == 2


def test_what_is_wrong_is_said(vpn, stored, tmp_path):
    assert "not a status" in vpn("sessions", "list", "--status", "open").err
    assert "not a moment" in vpn("sessions", "list", "--since", "ever").err
    assert "name it .csv or .jsonl" in vpn("sessions", "export", "--file", str(tmp_path / "x.pdf")).err
    assert vpn("sessions", "export", "--file", str(tmp_path / "none" / "x.csv")).code != 0
    assert vpn("sessions", "show", "x").code != 0


def test_every_command_has_help(vpn):
    for command in ("list", "show", "export"):
        result = vpn("sessions", command, "--help")
        assert result.code == 0
        assert len(result.out.strip().splitlines()[2].strip()) > 10, result.out
