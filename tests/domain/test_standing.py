from datetime import UTC, datetime, timedelta

import pytest

from vpn.domain.limits import NO_LIMITS, Limits
from vpn.domain.standing import blocked, expires, next_look, throttled
from vpn.domain.user import User

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
HOUR = timedelta(hours=1)


def user(**fields):
    known = {"name": "a", "password_hash": "", "credential": 1, "enabled": True, "note": ""}
    return User(**known | {"created_at": NOW, "updated_at": NOW} | fields)


def test_without_limits_nothing_stands_in_the_way():
    assert blocked(user(), NO_LIMITS, 2**60, NOW) == ""
    assert next_look(user(), NO_LIMITS, NOW) is None


@pytest.mark.parametrize(
    ("fields", "limits", "used", "why"),
    [
        ({"enabled": False}, Limits(), 0, "user_disabled"),
        ({}, Limits(expires_at=NOW), 0, "user_expired"),
        ({}, Limits(expires_at=NOW + HOUR), 0, ""),
        ({}, Limits(expires_after=60), 0, ""),
        ({"first_used_at": NOW - HOUR}, Limits(expires_after=3600), 0, "user_expired"),
        ({"first_used_at": NOW - HOUR}, Limits(expires_after=3601), 0, ""),
        ({"first_used_at": NOW - HOUR}, Limits(expires_after=0), 0, ""),
        ({}, Limits(hours=("mon-fri 08:00-12:00",)), 0, "outside_hours"),
        ({}, Limits(hours=("mon-fri 08:00-12:01",)), 0, ""),
        ({}, Limits(hours=("mon-fri 13:00-14:00",), timezone="Europe/Berlin"), 0, ""),
        ({}, Limits(data_limit=100), 99, ""),
        ({}, Limits(data_limit=100), 100, "over_quota"),
        ({}, Limits(data_limit=100, throttle=8000), 100, ""),
        ({}, Limits(data_limit=0), 100, ""),
    ],
)
def test_why_a_user_may_not_connect(fields, limits, used, why):
    assert blocked(user(**fields), limits, used, NOW) == why


def test_the_earlier_end_counts():
    both = Limits(expires_at=NOW + 2 * HOUR, expires_after=3600)
    assert expires(user(first_used_at=NOW), both) == NOW + HOUR
    assert expires(user(), both) == NOW + 2 * HOUR


def test_at_the_end_of_the_quota_rates_go_down_and_never_up():
    limits = Limits(data_limit=100, throttle=8_000, down=4_000, up=0, down_guaranteed=4_000, burst=5)
    assert throttled(limits, 99) is limits
    slow = throttled(limits, 100)
    assert (slow.down, slow.up, slow.down_guaranteed, slow.up_guaranteed) == (4_000, 8_000, 4_000, 0)
    assert slow.burst == 5


@pytest.mark.parametrize(
    ("limits", "look"),
    [
        (Limits(expires_at=NOW + HOUR), NOW + HOUR),
        (Limits(expires_at=NOW - HOUR), None),
        (Limits(hours=("fri 08:00-18:00",)), NOW + 6 * HOUR),
        (Limits(data_limit=5, reset="hourly"), NOW + HOUR),
        (Limits(data_limit=5), None),
        (Limits(reset="hourly"), None),
        (Limits(data_limit=5, reset="daily", expires_at=NOW + HOUR), NOW + HOUR),
    ],
)
def test_when_to_look_again(limits, look):
    assert next_look(user(), limits, NOW) == look
