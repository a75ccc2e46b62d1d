from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.domain.spans import (
    DAY,
    HOUR,
    SPANS,
    Piece,
    Progress,
    Range,
    after,
    ceil,
    cover,
    floor,
    parse_range,
    starts,
    widen,
)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


BEGIN, END = at("2025-01-01"), at("2026-07-01")
_EDGES = [floor(span, at(day)) for span in SPANS for day in ("2025-03-01", "2025-12-31T23:00")]
moments = st.integers(BEGIN, END) | st.sampled_from([edge + shift for edge in _EDGES for shift in (-1, 0, 1)])


@st.composite
def progresses(draw):
    folded = floor("hour", draw(moments))
    hours_from = floor("day", draw(st.integers(BEGIN, folded)))
    return Progress(folded, hours_from, floor("month", draw(st.integers(BEGIN, hours_from))))


@st.composite
def ranges(draw):
    first, end = sorted(draw(st.lists(moments, min_size=2, max_size=2, unique=True)))
    return Range(first, end)


def hours_in(piece, progress):
    """The hours that the rows of a piece have in them."""
    for start in starts(piece.span, piece):
        if start >= piece.first:
            end = after("hour", start) if piece.span == "hour" else min(after(piece.span, start), progress.folded)
            yield from range(start, end, HOUR)


def starts_in(piece):
    return [start for start in starts(piece.span, Range(piece.first, piece.end)) if start >= piece.first]


@given(ranges(), progresses())
def test_a_range_is_covered_exactly_and_once(wanted, progress):
    wide = widen(wanted, progress)
    assert wide.first <= wanted.first < wanted.end <= wide.end
    pieces = cover(wide, progress)
    covered = [hour for piece in pieces for hour in hours_in(piece, progress)]
    assert sorted(covered) == list(range(wide.first, wide.end, HOUR))


@given(ranges(), progresses())
def test_only_what_is_kept_is_asked_for_and_no_more_than_needed(wanted, progress):
    wide = widen(wanted, progress)
    pieces = cover(wide, progress)
    kept_from = {"hour": progress.hours_from, "day": progress.days_from, "month": 0}
    assert all(piece.first >= kept_from[piece.span] for piece in pieces)
    before = [piece for piece in pieces if piece.first < progress.folded]
    rows = sum(len(starts_in(piece)) for piece in before)
    months = (wide.end - wide.first) // (28 * DAY) + 1
    assert rows <= 2 * 23 + 2 * 30 + months
    # What is kept in whole hours is widened by less than one at each end.
    if wanted.first >= progress.hours_from:
        assert (wanted.first - wide.first < HOUR) and (wide.end - wanted.end < HOUR)


def test_a_year_is_a_few_rows():
    now = at("2026-05-20T13:30")
    progress = Progress(floor("hour", now), floor("day", now - 35 * DAY), floor("month", now - 400 * DAY))
    wide = widen(Range(now - 365 * DAY, now), progress)
    assert cover(wide, progress) == [
        Piece("day", at("2025-05-20"), at("2025-06-01")),
        Piece("month", at("2025-06-01"), at("2026-05-20T13:00")),
        Piece("hour", at("2026-05-20T13:00"), at("2026-05-20T14:00")),
    ]


def test_before_anything_was_folded_there_are_hours():
    assert cover(Range(0, 2 * DAY), Progress()) == [Piece("hour", 0, 2 * DAY)]


@given(st.integers(0, 4_000_000_000), st.sampled_from(SPANS))
def test_spans_follow_each_other(moment, span):
    start = floor(span, moment)
    assert start <= moment < after(span, start)
    assert floor(span, after(span, start) - 1) == start
    assert ceil(span, start) == start
    assert ceil(span, start + 1) == after(span, start)


def test_months_are_those_of_the_calendar():
    assert [datetime.fromtimestamp(each, UTC).strftime("%m-%d") for each in starts("month", Range(BEGIN, END))][:4] == [
        "01-01",
        "02-01",
        "03-01",
        "04-01",
    ]


NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def stamp(**back):
    return int((NOW - timedelta(**back)).timestamp())


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ((None, None, None), Range(stamp(days=1) + 1, stamp() + 1)),
        (("7d", None, None), Range(stamp(days=7), stamp() + 1)),
        (("100000 weeks", None, None), Range(0, stamp() + 1)),
        ((None, "2026-11-20", None), Range(stamp(days=1, hours=12, minutes=30), stamp() + 1)),
        ((None, "2026-11-20", "2026-11-21"), Range(stamp(days=1, hours=12, minutes=30), stamp(hours=12, minutes=30))),
        ((None, None, "2026-11-21"), Range(stamp(days=1, hours=12, minutes=30), stamp(hours=12, minutes=30))),
        ((None, "2026-11-20", "9999-01-01"), Range(stamp(days=1, hours=12, minutes=30), stamp() + 1)),
    ],
)
def test_ranges_as_people_write_them(said, found):
    assert parse_range(NOW, *said) == found


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (("7d", "2026-11-20", None), "bad_range"),
        (("7d", None, "2026-11-20"), "bad_range"),
        ((None, "2026-11-20", "2026-11-20"), "bad_range"),
        ((None, "2027-01-01", None), "bad_range"),
        ((None, "1969-01-01", None), "bad_range"),
        ((None, None, "1970-01-01"), "bad_range"),
        (("soon", None, None), "bad_duration"),
        ((None, "yesterday", None), "bad_moment"),
    ],
)
def test_what_is_no_range(said, code):
    with pytest.raises(Invalid) as error:
        parse_range(NOW, *said)
    assert error.value.code == code
