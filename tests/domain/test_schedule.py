from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.domain.schedule import parse_schedule, parse_schedules

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
QUARTER = 15 * 60


def at(text: str, zone: ZoneInfo | None = None, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("text", "holds", "not_"),
    [
        # 2026-11-16 is a Monday.
        (
            "mon-fri 08:00-18:00",
            ["2026-11-16T08:00", "2026-11-20T17:59:59"],
            ["2026-11-16T07:59:59", "2026-11-16T18:00"],
        ),
        ("mon-fri 8:00-18:00", ["2026-11-16T08:00"], ["2026-11-21T12:00"]),
        ("sat,sun", ["2026-11-21T00:00", "2026-11-22T23:59:59"], ["2026-11-23T00:00", "2026-11-20T23:59:59"]),
        ("22:00-06:00", ["2026-11-16T22:00", "2026-11-17T05:59", "2026-11-16T00:00"], ["2026-11-16T06:00"]),
        # What passes midnight belongs to the day on which it begins, over the turn of the week too.
        ("sun 22:00-06:00", ["2026-11-22T22:00", "2026-11-23T05:59"], ["2026-11-22T05:00", "2026-11-23T22:00"]),
        ("* 00:00-24:00", ["2026-11-16T00:00", "2026-11-22T23:59:59"], []),
        ("fri-mon", ["2026-11-20T00:00", "2026-11-16T23:59"], ["2026-11-17T00:00", "2026-11-19T12:00"]),
        ("  Mon , Wed-Thu   10:00 - 11:00 ", ["2026-11-16T10:30", "2026-11-19T10:00"], ["2026-11-17T10:30"]),
        ("tue 18:00-24:00", ["2026-11-17T23:59"], ["2026-11-18T00:00"]),
        ("tue 18:00-00:00", ["2026-11-17T23:59"], ["2026-11-18T00:00"]),
    ],
)
def test_when_a_schedule_holds(text: str, holds: list[str], not_: list[str]) -> None:
    schedule = parse_schedule(text)
    assert [schedule.holds(at(moment)) for moment in holds] == [True] * len(holds)
    assert [schedule.holds(at(moment)) for moment in not_] == [False] * len(not_)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "always",
        "monday",
        "mon-",
        "-mon",
        "mon,",
        "mon--fri",
        "08:00",
        "08:00-",
        "8-18",
        "08:60-09:00",
        "08:00-24:01",
        "24:00-06:00",
        "25:00-26:00",
        "08:00-08:00",
        "mon08:00-09:00",
        "mon 08:00-09:00 tue",
        "mon " * 100,
        "mon 08:00-09:0٣",
    ],
)
def test_what_is_no_schedule_is_told(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_schedule(text)
    assert caught.value.code == "bad_schedule"


@pytest.mark.parametrize(
    "zone", ["", "Nowhere", "Europe", "../etc/passwd", "/etc/passwd", "Europe/Berlin\0", "x" * 500]
)
def test_what_is_no_zone_is_told(zone: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_schedule("mon", zone)
    assert caught.value.code == "bad_timezone"


def test_hours_are_meant_on_the_clock_on_the_wall() -> None:
    schedule = parse_schedule("08:00-18:00", "Europe/Berlin")
    assert schedule.holds(at("2026-07-01T06:00"))  # summer: two hours before UTC
    assert not schedule.holds(at("2026-12-01T06:00"))
    assert schedule.holds(at("2026-12-01T07:00"))


def test_an_hour_that_summer_time_leaves_out_is_left_out() -> None:
    schedule = parse_schedule("sun 02:00-03:00", "Europe/Berlin")
    before = at("2026-03-28T12:00", BERLIN)  # the clock goes from 02:00 to 03:00 on the 29th
    assert schedule.next_change(before) == at("2026-04-05T02:00", BERLIN)


def test_a_bound_within_the_hour_left_out_is_where_the_clock_jumps() -> None:
    schedule = parse_schedule("sun 01:00-02:30", "Europe/Berlin")
    inside = at("2026-03-29T01:30", BERLIN)
    assert schedule.next_change(inside) == at("2026-03-29T03:00", BERLIN)


def test_an_hour_that_comes_twice_counts_twice() -> None:
    schedule = parse_schedule("sun 02:00-02:30", "Europe/Berlin")
    begin = at("2026-10-25T02:00", BERLIN)
    changes = [begin]
    for _ in range(3):
        changes.append(schedule.next_change(changes[-1]))
    assert [change - begin for change in changes] == [0, 1800, 3600, 5400]


def test_what_always_or_never_holds_does_not_change() -> None:
    assert parse_schedule("*").next_change(0.0) == inf
    assert parse_schedules([]).next_change(0.0) == inf
    assert not parse_schedules([]).holds(0.0)


def test_several_texts_hold_when_one_of_them_does() -> None:
    schedule = parse_schedules(["mon 08:00-12:00", "mon 12:00-16:00", "tue"])
    assert schedule.next_change(at("2026-11-16T09:00")) == at("2026-11-16T16:00")
    assert schedule.holds(at("2026-11-17T12:00"))


def clock(quarters: int) -> str:
    return f"{quarters // 4:02}:{quarters % 4 * 15:02}"


@st.composite
def texts(draw: st.DrawFn) -> str:
    days = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=3))
    first = draw(st.integers(0, 95))
    last = draw(st.integers(0, 96).filter(lambda each: each != first))
    return f"{','.join(days)} {clock(first)}-{clock(last)}"


def obviously_holds(text: str, wall: datetime) -> bool:
    """Quarter by quarter, as one would say it."""
    days, hours = text.split()
    first, last = hours.split("-")
    now = wall.strftime("%H:%M")
    today, yesterday = DAYS[wall.weekday()] in days, DAYS[wall.weekday() - 1] in days
    if first < last:
        return today and first <= now < last
    return (today and now >= first) or (yesterday and now < last)


@given(
    texts=st.lists(texts(), min_size=1, max_size=3),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
)
def test_it_holds_and_changes_as_looking_at_every_quarter_of_an_hour_says(
    texts: list[str], zone: str, start: datetime
) -> None:
    schedule = parse_schedules(texts, zone)
    place = ZoneInfo(zone)
    now = start.replace(tzinfo=UTC, second=0, microsecond=0)
    now -= timedelta(minutes=now.minute % 15)
    held = schedule.holds(now.timestamp())
    moment = now
    while moment < now + timedelta(days=16):
        expected = any(obviously_holds(text, moment.astimezone(place)) for text in texts)
        assert schedule.holds(moment.timestamp()) == expected
        if expected != held:
            assert schedule.next_change(now.timestamp()) == moment.timestamp()
            return
        moment += timedelta(seconds=QUARTER)
    assert schedule.next_change(now.timestamp()) == inf
