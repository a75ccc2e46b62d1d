from datetime import UTC, datetime

import pytest

from vpn.cli.limit_texts import data_text, expiry_text, limit_texts, rates_text, shown_limits
from vpn.cli.output import moment
from vpn.domain.limit_values import change_limits
from vpn.domain.limits import NO_LIMITS

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LIMITS = {
    "max_connections": 20,
    "connection_rate": 0,
    "sources": ["10.0.0.0/8", "fd00::/8"],
    "inbounds": [],
    "hours": ["mon,wed 08:00-12:00", "fri"],
    "timezone": "Europe/Berlin",
    "expires_at": "2026-12-31T00:00:00Z",
    "expires_after": 36 * 3600,
    "down": 20_000_000,
    "up": 0,
    "share": 2,
    "priority": 0,
    "burst": 65536,
    "data_limit": 50 * 10**9,
    "reset": "monthly",
    "warn_at": [80, 95],
    "throttle": 64_000,
}


def test_limits_for_people():
    texts = limit_texts(LIMITS)
    assert texts["down"] == "20 Mbit/s"
    assert texts["up"] == texts["inbounds"] == texts["connection_rate"] == "none"
    assert texts["priority"] == "0"
    assert texts["burst"] == "64 KiB"
    assert texts["expires_after"] == "1d12h"
    assert texts["warn_at"] == "80; 95"


def test_what_is_shown_is_read():
    assert change_limits(NO_LIMITS, limit_texts(LIMITS), NOW) == change_limits(NO_LIMITS, LIMITS, NOW)


def test_moments_are_shown_as_on_the_clock_here():
    assert shown_limits(LIMITS)["expires_at"] == moment("2026-12-31T00:00:00Z")
    assert shown_limits({"expires_at": "9999-12-31T00:00:00Z"}) == {"expires_at": "never"}


def test_cells_of_a_table():
    assert rates_text(LIMITS) == "20 Mbit/s / -"
    assert rates_text({"down": 0}) == "-"
    assert data_text(LIMITS) == "50 GB monthly"
    assert data_text({"data_limit": 10**9}) == "1 GB"
    assert data_text({"reset": "daily"}) == "-"


@pytest.mark.parametrize(
    ("limits", "first_used_at", "shown"),
    [
        ({}, None, "-"),
        ({"expires_at": "9999-12-31T00:00:00Z"}, None, "-"),
        ({"expires_at": "2026-12-31T00:00:00Z"}, None, moment("2026-12-31T00:00:00Z")),
        ({"expires_after": 86400}, None, "1d after first use"),
        ({"expires_after": 86400}, "2026-11-01T00:00:00Z", moment("2026-11-02T00:00:00Z")),
        (
            {"expires_after": 86400, "expires_at": "2026-11-01T12:00:00Z"},
            "2026-11-01T00:00:00Z",
            moment("2026-11-01T12:00:00Z"),
        ),
    ],
)
def test_when_a_user_expires(limits, first_used_at, shown):
    assert expiry_text(limits, first_used_at) == shown
