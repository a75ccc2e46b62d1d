from datetime import UTC, datetime, timedelta

import pytest

from tests.support.sums import add, over
from vpn.store.database import sqlite_url

pytestmark = pytest.mark.anyio
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
async def busy(settings, house):
    """Two days ago alice and bob were here, and were refused as well; long ago somebody was."""
    then = (TODAY - timedelta(days=2)).timestamp()
    some = [
        over(then + 3600, "alice", moved=(100, 1000)),
        over(then + 3700, "bob", "example.org", moved=(5, 7)),
        over(then + 7300, "bob", "example.org", moved=(0, 0), status="failed", reason="refused"),
        over(then + 7400, "bob", "192.0.2.9", moved=(0, 0), status="rejected_by_acl", reason="rule"),
        over(then - 90 * 86400, "", "old.example", moved=(1, 1)),
    ]
    await add(sqlite_url(settings.data_dir / "vpn.db"), some, fold_at=then + 7200)


async def test_the_stats_of_old(call, busy):
    before = datetime.now(UTC)
    status, stats = await call("GET", "/api/sessions/stats?hours=72")
    assert status == 200
    first, end = (datetime.fromisoformat(stats.pop(name)) for name in ("from", "to"))
    assert (first.minute, first.second, end.minute, end.second) == (0, 0, 0, 0)
    assert first <= before - timedelta(hours=71) <= first + timedelta(hours=2)
    assert end > before
    assert stats == {
        "total_sessions": 4,
        "active_sessions": 0,
        "closed_sessions": 2,
        "failed_sessions": 1,
        "rejected_sessions": 1,
        "allowed_share": 0.75,
        "total_bytes_sent": 105,
        "total_bytes_received": 1007,
        "total_duration_seconds": 8.0,
        "top_users": [
            {"user": "alice", "session_count": 1, "bytes_sent": 100, "bytes_received": 1000},
            {"user": "bob", "session_count": 3, "bytes_sent": 5, "bytes_received": 7},
        ],
        "top_destinations": [
            {"destination": "example.com", "session_count": 1, "bytes_sent": 100, "bytes_received": 1000},
            {"destination": "example.org", "session_count": 2, "bytes_sent": 5, "bytes_received": 7},
            {"destination": "192.0.2.9", "session_count": 1, "bytes_sent": 0, "bytes_received": 0},
        ],
    }
    assert (await call("GET", "/api/sessions/stats?since=72h&top=1"))[1]["top_users"][0]["user"] == "alice"
    assert (await call("GET", "/api/sessions/stats"))[1]["allowed_share"] is None


async def test_traffic_by_the_hour_the_day_and_the_month(call, busy):
    first = (TODAY - timedelta(days=2)).date()
    status, days = await call("GET", f"/api/stats/traffic?from={first}&by=day")
    assert status == 200
    assert (days["by"], days["from"]) == ("day", f"{first}T00:00:00Z")
    assert [day["sessions"] for day in days["data"]] == [4, 0, 0]
    assert days["data"][0] == {
        "start": f"{first}T00:00:00Z",
        "sessions": 4,
        "closed": 2,
        "failed": 1,
        "rejected": 1,
        "bytes_sent": 105,
        "bytes_received": 1007,
        "duration_seconds": 8.0,
    }
    _, hours = await call("GET", f"/api/stats/traffic?from={first}&to={TODAY.date()}&by=hour&user=bob")
    assert [hour["sessions"] for hour in hours["data"]] == [0, 1, 2, *[0] * 45]
    _, hosts = await call("GET", f"/api/stats/traffic?from={first}&to={TODAY.date()}&by=day&destination=example.org")
    assert [day["sessions"] for day in hosts["data"]] == [2, 0]
    _, years = await call("GET", "/api/stats/traffic?since=52w")
    assert (years["by"], sum(month["sessions"] for month in years["data"])) == ("month", 5)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("users", ["alice", "bob"]),
        ("users?sort=sessions", ["bob", "alice"]),
        ("destinations", ["example.com", "example.org", "192.0.2.9"]),
        ("destinations?sort=sessions&limit=1", ["example.org"]),
        ("inbounds", ["main"]),
        ("protocols", ["socks5"]),
        ("reasons?sort=sessions", ["eof", "refused", "rule"]),
    ],
)
async def test_what_comes_first(call, busy, path, names):
    status, ranking = await call("GET", f"/api/stats/{path}{'&' if '?' in path else '?'}since=3d")
    assert status == 200
    assert [row["name"] for row in ranking["data"]] == names
    assert ranking["total"]["sessions"] == 4
    assert ranking["from"] < ranking["to"]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/api/stats/users?limit=0", "bad_request"),
        ("/api/stats/users?limit=1001", "bad_request"),
        ("/api/stats/users?sort=name", "bad_request"),
        ("/api/stats/users?since=soon", "bad_duration"),
        ("/api/stats/users?since=1d&from=2026-01-01", "bad_range"),
        ("/api/stats/users?from=2026-01-02&to=2026-01-01", "bad_range"),
        ("/api/stats/users?from=9999-01-01", "bad_range"),
        ("/api/stats/traffic?from=yesterday", "bad_moment"),
        ("/api/stats/traffic?by=minute", "bad_request"),
        ("/api/stats/traffic?since=52w&by=hour", "too_many_points"),
        ("/api/stats/traffic?user=a&inbound=b", "too_many_subjects"),
        (f"/api/stats/traffic?user={'x' * 300}", "bad_request"),
        ("/api/sessions/stats?hours=0", "bad_request"),
        ("/api/sessions/stats?hours=1&from=2026-01-01", "bad_range"),
        ("/api/sessions/stats?hours=1&since=1d", "bad_range"),
        ("/api/sessions/stats?top=1001", "bad_request"),
    ],
)
async def test_what_cannot_be_asked(call, target, code):
    status, error = await call("GET", target)
    assert (status, error["code"]) == (422, code)
