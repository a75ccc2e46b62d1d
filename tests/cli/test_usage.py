import json
import sqlite3
from datetime import UTC, datetime

import pytest

TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture
def moved(vpn, tmp_path):
    """Alice, who has moved something on two days; one of them long ago."""
    vpn("users", "add", "alice", "--password", "x", "--data-limit", "50GB", "--reset", "monthly", "--warn-at", "90")
    database = sqlite3.connect(tmp_path / "data" / "vpn.db")
    with database:
        [number] = database.execute("SELECT id FROM users WHERE name = 'alice'").fetchone()
        rows = [(number, "2020-01-01", 5, 7), (number, TODAY, 10_000_000_000, 30_000_000_000)]
        database.executemany("INSERT INTO usage VALUES (?, ?, ?, ?)", rows)
    database.close()


def test_usage_at_a_glance(vpn, moved):
    lines = vpn("users", "usage", "alice").out.splitlines()
    assert lines[1].split() == ["state", "active"]
    assert lines[2] == "used          40.0 GB of 50.0 GB  ████████████████████████ 80%"
    assert lines[-2].split() == ["DAY", "UP", "DOWN"]
    assert lines[-1].split()[:5] == [TODAY, "10.0", "GB", "30.0", "GB"]


def test_usage_for_programs(vpn, moved):
    used = json.loads(vpn("users", "usage", "alice", "--days", "3660", "--format", "json").out)
    assert (used["used"], used["data_limit"], used["state"]) == (40_000_000_000, 50_000_000_000, "active")
    assert [day["bytes_up"] for day in used["days"]] == [5, 10_000_000_000]


def test_over_the_quota_and_forgiven(vpn, moved):
    vpn("users", "edit", "alice", "--data-limit", "1GB")
    assert "over quota" in vpn("users", "usage", "alice").out
    assert "used          0 B of 1.0 GB" in vpn("users", "reset-usage", "alice").out
    assert "state         active" in vpn("users", "usage", "alice").out


def test_nobody(vpn):
    assert vpn("users", "usage", "nobody").code == 4
    assert vpn("users", "reset-usage", "nobody").code == 4


def test_without_a_quota_and_without_usage(vpn):
    vpn("users", "add", "bob", "--password", "x")
    assert vpn("users", "usage", "bob").out.splitlines() == [
        "name         bob",
        "state        active",
        "used         0 B",
        "reset        never",
        "connections  0",
    ]
