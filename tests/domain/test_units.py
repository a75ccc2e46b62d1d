from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.domain.units import (
    LARGEST,
    NEVER,
    parse_duration,
    parse_moment,
    parse_past,
    parse_rate,
    parse_size,
    rounded_duration,
    rounded_rate,
    rounded_size,
    show_duration,
    show_rate,
    show_size,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GB", 50 * 10**9),
        ("50gb", 50 * 10**9),
        ("50GiB", 50 * 2**30),
        (" 500 MB ", 500 * 10**6),
        ("1.5k", 1500),
        ("0.5 KiB", 512),
        ("12", 12),
        ("7 bytes", 7),
        ("0", 0),
        ("2T", 2 * 10**12),
        (str(LARGEST), LARGEST),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20mbit", 20_000_000),
        ("20 Mbit/s", 20_000_000),
        ("20MBIT", 20_000_000),
        ("20Mbps", 20_000_000),
        ("1gbit", 10**9),
        ("512kbit", 512_000),
        ("2.5MB/s", 20_000_000),
        ("1KiB/s", 8192),
        ("1Mibit", 2**20),
        ("64k", 64_000),
        ("8000", 8000),
    ],
)
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["20Mb/s", "20 mb/s", "20MBps", "20MB/S", "3b/s"])
def test_a_rate_that_could_be_bits_or_bytes_is_refused(text):
    with pytest.raises(Invalid, match="bits or bytes"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 30 * 86400),
        ("12h", 12 * 3600),
        ("90m", 5400),
        ("1w", 7 * 86400),
        ("1d12h", 36 * 3600),
        ("1D 12H", 36 * 3600),
        ("2 weeks", 14 * 86400),
        ("1.5h", 5400),
        ("3600", 3600),
        ("0s", 0),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("parse", [parse_size, parse_rate, parse_duration])
@pytest.mark.parametrize(
    "text", ["", " ", "-1", "-5d", "x", "GB", "1.", ".5", "1,5GB", "1e3", "1 2", "0.3", "\u0663", "9" * 100, "5 XB"]
)
def test_what_is_none_of_these(parse, text):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.hint.startswith("write it as ")
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_size, "5EiB"), (parse_rate, "1000Pbit/s" + " "), (parse_duration, f"{2**62}s1s"), (parse_rate, "1EB/s")],
)
def test_the_largest(parse, text):
    if parse is parse_rate and "Pbit" in text:
        assert parse(text) == 10**18
        return
    with pytest.raises(Invalid, match="too large"):
        parse(text)


@given(st.integers(0, LARGEST))
def test_what_is_shown_is_read(amount):
    assert parse_size(show_size(amount)) == amount
    assert parse_rate(show_rate(amount)) == amount
    assert parse_duration(show_duration(amount)) == amount


@given(st.integers(0, 4000), st.sampled_from([10**3, 10**6, 10**9, 10**12, 2**10, 2**20, 2**30, 2**40]))
def test_round_amounts_too(count, factor):
    assert parse_size(show_size(count * factor)) == count * factor


@given(st.text())
def test_garbage_is_refused_or_an_amount(text):
    for parse in (parse_size, parse_rate, parse_duration):
        try:
            assert 0 <= parse(text) <= LARGEST
        except Invalid:
            pass
    try:
        assert parse_moment(text, NOW).tzinfo is UTC
    except Invalid:
        pass


def test_amounts_are_shown_in_round_units():
    assert [show_size(size) for size in (0, 999, 50 * 10**9, 50 * 2**30, 1_500_000, 1_234_567)] == [
        "0 B",
        "999 B",
        "50 GB",
        "50 GiB",
        "1.5 MB",
        "1234567 B",
    ]
    assert [show_rate(rate) for rate in (8000, 20_000_000, 2_500_000_000)] == ["8 kbit/s", "20 Mbit/s", "2.5 Gbit/s"]
    assert [show_duration(each) for each in (0, 5400, 36 * 3600, 30 * 86400)] == ["0s", "1h30m", "1d12h", "30d"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31T18:00:00Z", datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ("2026-12-31T18:00:00.5+02:00", datetime(2026, 12, 31, 16, tzinfo=UTC)),
        ("30d", (NOW + timedelta(days=30)).replace(microsecond=0)),
        ("never", NEVER),
        ("9000w", (NOW + timedelta(weeks=9000)).replace(microsecond=0)),
    ],
)
def test_moments(text, moment):
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "2026-02-30", "2026-12-31T18:00:00", "-1d", "9999999w", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_moment(text):
    with pytest.raises(Invalid) as caught:
        parse_moment(text, NOW)
    assert caught.value.code == "bad_moment"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes_at_a_glance(size, text):
    assert rounded_size(size) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0 bit/s"),
        (999, "999 bit/s"),
        (1000, "1.0 kbit/s"),
        (999_940, "999.9 kbit/s"),
        (999_960, "1.0 Mbit/s"),
        (2.5e9, "2.5 Gbit/s"),
        (5e16, "50000.0 Tbit/s"),
    ],
)
def test_rates_at_a_glance(rate, text):
    assert rounded_rate(rate) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        (" 1d12h ", NOW - timedelta(hours=36)),
        ("9999w", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31T20:00:00.25+02:00", datetime(2026, 12, 31, 18, microsecond=250_000, tzinfo=UTC)),
    ],
)
def test_a_moment_that_has_been(text, moment):
    assert parse_past(text, NOW) == moment
    assert parse_past(text, NOW).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not"),
        ("soon", "is not"),
        ("never", "is not"),
        ("2026-13-01", "is not"),
        ("2026-01-01T00:00:00", "zone"),
    ],
)
def test_a_moment_that_cannot_have_been(text, words):
    with pytest.raises(Invalid, match=words) as caught:
        parse_past(text, NOW)
    assert caught.value.code == "bad_moment"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.0s"), (59.94, "59.9s"), (59.96, "1m"), (1172.9, "19m33s"), (3599.6, "1h"), (3723.9, "1h2m"), (1e5, "1d3h")],
)
def test_a_duration_at_a_glance(seconds, shown):
    assert rounded_duration(seconds) == shown
