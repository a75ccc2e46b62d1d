import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.sums import add, over
from vpn.cli.output import cell_width
from vpn.store.database import sqlite_url

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FIRST = f"{(TODAY - timedelta(days=3)).date()}"
DAYS = ("--since", FIRST, "--until", f"{TODAY.date()}")


@pytest.fixture
def busy(vpn, tmp_path):
    vpn("users", "list")
    then = (TODAY - timedelta(days=3)).timestamp()
    some = [
        over(then + 3600, "alice", moved=(10**9, 3 * 10**9)),
        over(then + 90_000, "bob", "a-name-that-is-rather-long.example.org", moved=(5, 10**9)),
        over(then + 90_100, "", "192.0.2.9", moved=(0, 0), status="rejected_by_acl", reason="rule"),
        over(then + 90_200, "bob", "\x1b[2Jevil", moved=(0, 0), status="failed", reason="refused"),
    ]
    asyncio.run(add(sqlite_url(tmp_path / "data" / "vpn.db"), some, fold_at=then + 100_000))


@pytest.mark.parametrize("width", ["40", "80", "120"])
@pytest.mark.parametrize("what", [(), ("users",), ("destinations",), ("traffic",), ("reasons",)])
def test_it_fits_the_terminal(vpn, busy, monkeypatch, width, what):
    monkeypatch.setenv("COLUMNS", width)
    result = vpn("stats", *what, *DAYS)
    assert (result.code, result.err) == (0, "")
    assert all(cell_width(line) <= int(width) for line in result.out.splitlines()), result.out
    assert "\x1b" not in result.out


def test_the_overview(vpn, busy, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    out = vpn("stats", *DAYS).out
    assert out.splitlines()[1:] == [
        "sessions  4, 0 of them now",
        "failed    1",
        "rejected  1",
        "allowed   75.0%  ██████████████████████▌",
        "sent      1.0 GB",
        "received  4.0 GB",
        "by hour   █▁▁▁▁▁▁▁▁▁▁▁▃▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁",
        "",
        "USER    SESSIONS    SENT  RECEIVED",
        "alice          1  1.0 GB    3.0 GB  ██████████████████████████████",
        "bob            2     5 B    1.0 GB  ███████▌",
        "(none)         1     0 B       0 B",
        "",
        "DESTINATION                             SESSIONS    SENT  RECEIVED",
        "example.com                                    1  1.0 GB    3.0 GB  ████████████",
        "a-name-that-is-rather-long.example.org         1     5 B    1.0 GB  ███",
        "\N{REPLACEMENT CHARACTER}[2jevil                                       1     0 B       0 B",
        "192.0.2.9                                      1     0 B       0 B",
    ]


def test_a_narrow_terminal_has_one_column_of_bytes(vpn, busy, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = vpn("stats", "users", *DAYS).out.splitlines()
    assert lines[0] == "USER    SESSIONS   BYTES"
    assert lines[1] == "alice          1  4.0 GB  ██████████████"


def test_traffic_day_by_day(vpn, busy, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = vpn("stats", "traffic", *DAYS, "--by", "day").out.splitlines()
    assert lines[0].startswith("DAY (UTC)   SESSIONS    SENT  RECEIVED")
    assert [line.split()[:2] for line in lines[1:]] == [
        [FIRST, "1"],
        [f"{(TODAY - timedelta(days=2)).date()}", "3"],
        [f"{(TODAY - timedelta(days=1)).date()}", "0"],
    ]
    assert "bytes_sent" not in lines[0]
    one = vpn("stats", "traffic", *DAYS, "--by", "month", "--user", "bob").out.splitlines()
    assert one[0].startswith("MONTH (UTC)")
    assert sum(int(line.split()[1]) for line in one[1:]) == 2


def test_for_programs(vpn, busy):
    users = json.loads(vpn("stats", "users", *DAYS, "--format", "json").out)
    assert [(user["name"], user["sessions"], user["bytes_received"]) for user in users] == [
        ("alice", 1, 3 * 10**9),
        ("bob", 2, 10**9),
        ("", 1, 0),
    ]
    table = vpn(
        "stats", "destinations", *DAYS, "--sort", "sessions", "--limit", "2", "--format", "csv"
    ).out.splitlines()
    assert table[0] == "name,sessions,closed,failed,rejected,bytes_sent,bytes_received,duration_seconds"
    assert len(table) == 3
    days = vpn("stats", "traffic", *DAYS, "--by", "day", "--format", "plain").out.splitlines()
    assert days[0].split("\t")[:3] == [f"{FIRST}T00:00:00Z", "1", "1"]
    overview = json.loads(vpn("stats", *DAYS, "--format", "json").out)
    assert (overview["total_sessions"], overview["by"], len(overview["traffic"])) == (4, "hour", 72)
    assert overview["top_users"][0]["user"] == "alice"


def test_nothing_yet(vpn):
    assert "sessions  0, 0 of them now" in vpn("stats").out
    assert "allowed" not in vpn("stats").out
    assert vpn("stats", "users").out == "There was nothing in that time.\n"
    assert json.loads(vpn("stats", "users", "--format", "json").out) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--since", "soon"), 3, "'soon' is not a moment"),
        (("users", "--since", "1d", "--until", "2d"), 3, "the range has nothing in it"),
        (("--since", "1d", "users"), 2, "say the range after users"),
        (("users", "--limit", "0"), 2, "0 is not in the range"),
        (("traffic", "--by", "minute"), 2, "minute"),
        (("traffic", "--user", "a", "--inbound", "b"), 3, "a series is of one thing"),
        (("traffic", "--since", "52w", "--by", "hour"), 3, "more than 1000 hours"),
    ],
)
def test_what_cannot_be_asked(vpn, arguments, code, words):
    result = vpn("stats", *arguments)
    assert result.code == code
    assert words in result.err
