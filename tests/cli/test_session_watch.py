import csv
import json

import pytest

from vpn.cli.output import Format, Output, cell_width, fit
from vpn.cli.screen import Size
from vpn.cli.session_watch import ORDERS, _tell, picture

SESSION = {
    "id": "0ca85b5b00807550",
    "user": "alice",
    "source_ip": "2001:db8::1",
    "source_port": 4711,
    "destination": "example.com",
    "dest_port": 443,
    "protocol": "socks5",
    "inbound": "main",
    "acl_rule": None,
    "upstream": None,
    "status": "active",
    "reason": None,
    "bytes_sent": 1_500_000,
    "bytes_received": 2_500_000_000,
    "rate_sent": 125.0,
    "rate_received": 1_250_000.0,
    "start_time": "2026-01-02T03:04:05Z",
    "end_time": None,
    "duration_seconds": 3723.9,
}
COUNTERS = {
    "time": "2026-01-02T03:04:05Z",
    "active_sessions": 5000,
    "session_rate": 20.0,
    "rate_sent": 0.0,
    "rate_received": 1e6,
}


def texts(sessions, columns=80, rows=24, note=""):
    return [line.text for line in picture(sessions, COUNTERS, Size(columns, rows), "rate", note)]


@pytest.mark.parametrize("columns", [20, 80, 200])
@pytest.mark.parametrize("count", [0, 3, 100])
def test_it_fills_the_terminal_and_no_more(columns, count):
    found = texts([SESSION] * count, columns)
    assert len(found) == 24
    assert "q quit" in found[-1]
    assert sum("alice" in text for text in found) == min(count, 21)


def test_a_session_is_shown_with_units():
    title, _, row, *_ = texts([SESSION], 200)
    assert "5,000 live, 20.0 new/s  ↑ 0 bit/s  ↓ 8.0 Mbit/s" in title
    for wanted in ("10.0 Mbit/s", "1.0 kbit/s", "2.5 GB", "1.5 MB", "1h2m", "[2001:db8::1]:4711", SESSION["id"]):
        assert wanted in row


def told(capsys, events, format):
    _tell(events, Output(format))
    return capsys.readouterr().out.splitlines()


def test_names_from_clients_move_no_cursor(capsys):
    evil = SESSION | {"user": "\x1b[2J", "destination": "\x9b2J\r\n日本"}
    for text in texts([evil], 80, note="\x07"):
        assert text.isprintable()
        assert cell_width(fit(text, 80)) == 80
    (line,) = told(capsys, [{"began": [evil], "not_told": {}}], Format.TABLE)
    assert line.replace("\t", "").isprintable()
    (line,) = told(capsys, [{"began": [evil], "not_told": {}}], Format.JSON)
    assert "\x1b" not in line
    assert json.loads(line)["user"] == evil["user"]


def test_lines_tell_what_begins_and_ends_and_what_was_too_much(capsys):
    ended = SESSION | {"status": "closed", "reason": "eof", "end_time": "2026-01-02T03:05:05Z"}
    events = [
        {"live": [SESSION], "not_told": {"live": 7}},
        {"dropped": 3},
        {"began": [], "updated": [SESSION], "ended": [ended], "not_told": {"began": 0, "ended": 0, "updated": 9}},
    ]
    found = told(capsys, events, Format.TABLE)
    assert [line.split("\t")[:2] for line in found] == [
        ["2026-01-02T03:04:05Z", "live"],
        ["and more: 7 live"],
        ["3 events were not told"],
        ["2026-01-02T03:05:05Z", "ended"],
    ]
    assert found[-1].split("\t")[-2:] == ["closed", "eof"]
    for line in told(capsys, events, Format.JSON):
        assert json.loads(line)
    rows = list(csv.DictReader(told(capsys, events, Format.CSV)))
    assert [(row["event"], row["reason"]) for row in rows] == [("live", ""), ("ended", "eof")]


def test_every_order_is_one_that_the_api_knows():
    from typing import get_args

    from vpn.services.session_filter import SortColumn

    assert set(ORDERS) <= set(get_args(SortColumn))
