import copy
import re

import pytest

from vpn.cli.live_view import following
from vpn.cli.monitor_picture import ORDERS, picture
from vpn.cli.output import cell_width, fit
from vpn.cli.screen import Size

NOW = "2026-01-02T03:04:05Z"


def busy(name, received=0.0):
    return {"name": name, "sessions": 3, "rate_sent": 0.0, "rate_received": received}


def process(**fields):
    return {"pid": 4711, "cpu_percent": 12.0, "ram_bytes": 25_000_000, "descriptors": 30} | fields


def worker(number):
    return process(number=number, ready=number != 1, restarts=number, active_sessions=1234, loop_lag_ms=None)


OVERVIEW = {
    "status": "ok",
    "version": "0.1.0",
    "uptime_seconds": 3723.4,
    "counters": {
        "time": NOW,
        "active_sessions": 2468,
        "total_sessions": 1_000_000,
        "rejected": 17,
        "bytes_sent": 10**12,
        "bytes_received": 10**13,
        "rate_sent": 1e6,
        "rate_received": 12.5e6,
        "session_rate": 99.5,
    },
    "resources": {
        "system_cpu_percent": 31.0,
        "system_cores": 2,
        "system_ram_percent": 12.0,
        "system_ram_total_bytes": 25 * 10**9,
        "load_average_1m": 0.5,
        "disk_free_bytes": 79 * 10**9,
        "daemon": process(pid=1),
    },
    "workers": [worker(0), worker(1)],
    "upstreams": [{"name": "paris", "healthy": False, "opened": 4, "idle": 2, "failed": 1}],
    "users": [busy(f"user{number}", 1e6 / (number + 1)) for number in range(50)],
    "destinations": [busy(f"host{number}.test", 1e6 / (number + 1)) for number in range(50)],
    "refusals": [
        {"time": NOW, "user": "eve", "destination": f"10.0.0.{number}:22", "reason": "private_destination"}
        for number in range(50)
    ],
}


def texts(overview=OVERVIEW, columns=80, rows=24, note=""):
    return [line.text for line in picture(overview, Size(columns, rows), "rate", note)]


@pytest.mark.parametrize("columns", [40, 80, 132, 140, 200])
@pytest.mark.parametrize("rows", [10, 24, 50, 100])
def test_it_fills_the_terminal_and_no_more(columns, rows):
    found = texts(columns=columns, rows=rows)
    assert len(found) == rows
    assert "q quit" in found[-1]
    quiet = copy.deepcopy(OVERVIEW) | {"users": [], "destinations": [], "refusals": [], "upstreams": []}
    assert len(texts(quiet, columns, rows)) == rows


def test_on_a_small_terminal_all_is_there():
    found = "\n".join(texts())
    for wanted in (
        "2,468 live, 99.5 new/s, 1,000,000 in all, 17 refused",
        "↑ 8.0 Mbit/s  ↓ 100.0 Mbit/s",
        "CPU 31 % of 2, load 0.50, memory 12 % of 25.0 GB, disk 79.0 GB free",
        "up 1h2m3s",
    ):
        assert wanted in found
    for wanted in ("worker 1 .*down", "paris +failed", "user0 .*8.0 Mbit/s", "host0.test .*█", "eve +10.0.0.0:22"):
        assert re.search(wanted, found), wanted
    assert all(cell_width(text) <= 80 for text in texts())


def test_on_a_wide_one_users_and_destinations_stand_side_by_side():
    (line,) = [text for text in texts(columns=200, rows=50) if text.startswith("user0 ")]
    assert "host0.test" in line
    assert sum(text.startswith("user") for text in texts(columns=200, rows=50)) > 20


def test_what_is_wrong_is_said():
    assert "the daemon broke off" in texts(note="the daemon broke off")
    assert "[2J" in "".join(texts(note="\x1b[2J")), "but it moves nothing"


def test_names_from_clients_move_no_cursor():
    evil = "\x1b[2J\x07\r\n\u202e日本\x9b31m"
    overview = copy.deepcopy(OVERVIEW)
    overview["users"] = overview["destinations"] = [busy(evil, 5.0)]
    overview["upstreams"][0]["name"] = evil
    overview["refusals"] = [{"time": NOW, "user": evil, "destination": evil, "reason": evil}]
    for columns in (80, 200):
        for text in texts(overview, columns):
            assert text.isprintable(), text
            assert cell_width(fit(text, columns)) == columns


def test_the_orders_follow_each_other():
    assert [following(ORDERS, order) for order in ORDERS] == ["sessions", "name", "rate"]


def test_many_workers_leave_room_for_the_rest():
    overview = OVERVIEW | {"workers": [worker(number) for number in range(64)]}
    found = "\n".join(texts(overview))
    assert "and 60 workers more" in found
    assert "user0" in found
