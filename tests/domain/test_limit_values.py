from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.domain.limit_values import change_limits, change_shared
from vpn.domain.limits import NO_LIMITS, NOT_SHARED, Limits, Shared
from vpn.domain.units import NEVER

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "written", "kept"),
    [
        ("max_connections", "20", 20),
        ("max_connections", 20, 20),
        ("max_devices", "none", 0),
        ("connection_rate", "5", 5),
        ("sources", "10.0.0.0/8, fd00::/8", ("10.0.0.0/8", "fd00::/8")),
        ("sources", ["10.0.0.0/8 "], ("10.0.0.0/8",)),
        ("sources", "none", ()),
        ("sources", [], ()),
        ("inbounds", "main;office", ("main", "office")),
        ("hours", "mon,wed 08:00-12:00; fri 08:00-18:00", ("mon,wed 08:00-12:00", "fri 08:00-18:00")),
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("expires_at", "30d", NOW + timedelta(days=30)),
        ("expires_at", "2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("expires_at", datetime(2026, 12, 31, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)),
        ("expires_at", "none", NEVER),
        ("expires_after", "30d", 30 * 86400),
        ("down", "20mbit", 20_000_000),
        ("up", 8000, 8000),
        ("down_guaranteed", "1 Mbit/s", 1_000_000),
        ("up_guaranteed", "unlimited", 0),
        ("share", "3", 3),
        ("priority", 0, 0),
        ("burst", "64KiB", 65536),
        ("data_limit", "50GB", 50 * 10**9),
        ("reset", "Monthly", "monthly"),
        ("warn_at", "80%, 50", (50, 80)),
        ("warn_at", [100, "80"], (80, 100)),
        ("warn_at", 80, (80,)),
        ("throttle", "64kbit", 64_000),
    ],
)
def test_what_is_written_and_what_is_kept(field, written, kept):
    assert change_limits(NO_LIMITS, {field: written}, NOW) == Limits(**{field: kept})


def test_fields_not_named_stay_and_none_is_inherited_again():
    before = Limits(down=8000, up=9000)
    assert change_limits(before, {"down": None, "share": 2}, NOW) == Limits(up=9000, share=2)
    assert change_limits(before, {}, NOW) == before
    assert change_shared(Shared(down=8000, up=9000), {"down": None}, NOW) == Shared(up=9000)


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("down", "fast"),
        ("down", True),
        ("down", 1.5),
        ("down", []),
        ("down", {"a": 1}),
        ("max_connections", "20x"),
        ("max_connections", "\u0663"),
        ("sources", 5),
        ("sources", [5]),
        ("warn_at", "x"),
        ("warn_at", [True]),
        ("warn_at", {"a": 1}),
        ("expires_at", 5),
        ("expires_at", "soon"),
        ("expires_at", datetime(2026, 12, 31)),
        ("reset", "sometimes"),
        ("reset", 1),
        ("timezone", 1),
        ("share", "none"),
    ],
)
def test_what_cannot_be_read_names_its_field(field, written):
    with pytest.raises(Invalid) as caught:
        change_limits(NO_LIMITS, {field: written}, NOW)
    assert caught.value.code == "bad_limit"
    assert caught.value.message.startswith(f"{field}: ")


def test_a_limit_that_is_none():
    with pytest.raises(Invalid, match="'speed' is not a limit"):
        change_limits(NO_LIMITS, {"speed": 1}, NOW)
    with pytest.raises(Invalid, match="'data_limit' is not a limit"):
        change_shared(NOT_SHARED, {"data_limit": 1}, NOW)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text() | st.integers()))


@given(st.sampled_from(Limits.__struct_fields__), VALUES)
def test_garbage_is_refused_or_a_limit(field, value):
    try:
        assert isinstance(change_limits(NO_LIMITS, {field: value}, NOW), Limits)
    except Invalid:
        pass
