from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.limits import Limits
from vpn.domain.quota import next_reset, period_start, reached, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 23, 30, 15, tzinfo=UTC)  # a Saturday; in Berlin it is Sunday already

KINDS = ["hourly", "daily", "weekly", "monthly", "yearly", "rolling"]


@pytest.mark.parametrize(
    ("reset", "start", "end"),
    [
        ("hourly", "2026-11-22T00:00:00+01:00", "2026-11-22T01:00:00+01:00"),
        ("daily", "2026-11-22T00:00:00+01:00", "2026-11-23T00:00:00+01:00"),
        ("weekly", "2026-11-16T00:00:00+01:00", "2026-11-23T00:00:00+01:00"),
        ("monthly", "2026-11-01T00:00:00+01:00", "2026-12-01T00:00:00+01:00"),
        ("yearly", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("rolling", "2026-10-24T00:00:00+02:00", "2026-11-23T00:00:00+01:00"),
    ],
)
def test_periods_are_the_users_own(reset, start, end):
    assert period_start(reset, NOW, BERLIN).isoformat() == start
    assert next_reset(reset, NOW, BERLIN).isoformat() == end


def test_what_is_never_reset_began_with_everything():
    assert next_reset("never", NOW, UTC) is None
    assert period_start("never", NOW, UTC).year == 1970


def test_a_day_on_which_clocks_change_has_one_hour_more_or_less():
    spring = datetime(2026, 3, 29, 12, tzinfo=UTC)
    autumn = datetime(2026, 10, 25, 12, tzinfo=UTC)
    for moment, hours in ((spring, 23), (autumn, 25)):
        length = next_reset("daily", moment, BERLIN).timestamp() - period_start("daily", moment, BERLIN).timestamp()
        assert length == hours * 3600


def test_an_hour_that_happens_twice_is_two_hours():
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = first + timedelta(hours=1)
    starts = [period_start("hourly", moment, BERLIN).timestamp() for moment in (first, second)]
    assert starts[1] - starts[0] == 3600
    assert next_reset("hourly", first, BERLIN).timestamp() == period_start("hourly", second, BERLIN).timestamp()


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(KINDS),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo", "Australia/Lord_Howe"]),
)
def test_now_is_always_within_its_period_and_the_next_begins_where_it_ends(now, reset, name):
    zone = ZoneInfo(name)
    start, end = period_start(reset, now, zone), next_reset(reset, now, zone)
    assert start.timestamp() <= now.timestamp() < end.timestamp()
    if reset != "rolling":
        assert period_start(reset, end, zone).timestamp() == end.timestamp()
        just_before = datetime.fromtimestamp(end.timestamp() - 1, UTC)
        assert period_start(reset, just_before, zone).timestamp() <= now.timestamp()


@pytest.mark.parametrize(("used", "percent"), [(0, 0), (79, 0), (80, 80), (94, 80), (95, 95), (2000, 95)])
def test_the_highest_percentage_that_is_reached(used, percent):
    assert reached((80, 95), used, 100) == percent


def test_the_zone_is_utc_where_none_is_said():
    assert zone_of(Limits()) is UTC
    assert zone_of(Limits(timezone="Europe/Berlin")) == BERLIN
