from datetime import UTC, datetime

import pytest

from vpn.domain.errors import Invalid
from vpn.domain.limit_checks import check_limits, check_shared
from vpn.domain.limits import Limits, Shared

GOOD = Limits(
    max_connections=20,
    connection_rate=5,
    max_devices=3,
    sources=("10.0.0.0/8", "2001:db8::1"),
    inbounds=("main",),
    hours=("mon-fri 08:00-18:00",),
    timezone="Europe/Berlin",
    expires_at=datetime(2027, 1, 1, tzinfo=UTC),
    expires_after=60,
    down=20_000_000,
    up=8000,
    down_guaranteed=20_000_000,
    up_guaranteed=8000,
    share=1000,
    priority=7,
    burst=65536,
    data_limit=50 * 10**9,
    reset="monthly",
    warn_at=(50, 80, 100),
    throttle=64_000,
)


def test_good_limits():
    assert check_limits(GOOD) == GOOD
    assert check_limits(Limits()) == Limits()


def test_warnings_come_in_order_and_once():
    assert check_limits(Limits(warn_at=(80, 50, 80))).warn_at == (50, 80)


@pytest.mark.parametrize("field", [each for each in Limits.__struct_fields__ if isinstance(getattr(GOOD, each), int)])
def test_every_number_has_its_range_and_most_can_be_none(field):
    for value in (-1, 2**62 + 1, *((0,) if field == "share" else ())):
        with pytest.raises(Invalid) as caught:
            check_limits(Limits(**{field: value}))
        assert caught.value.message.startswith(f"{field}: ")
    if field != "share":
        assert check_limits(Limits(**{field: 0})) == Limits(**{field: 0})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("down", 7999),
        ("throttle", 1),
        ("share", 1001),
        ("priority", 8),
        ("max_devices", 33),
        ("expires_after", 59),
        ("sources", ("10.0.0.1/8",)),
        ("sources", ("nowhere",)),
        ("sources", ("10.0.0.0/8",) * 65),
        ("inbounds", ("",)),
        ("hours", ("x" * 201,)),
        ("hours", ("mon-fri 08:00",)),
        ("timezone", "Nowhere/Land"),
        ("timezone", ""),
        ("timezone", "../../etc/passwd"),
        ("timezone", "/etc/localtime"),
        ("timezone", "Europe"),
        ("timezone", "a\0b"),
        ("timezone", "A" * 300),
        ("warn_at", (0,)),
        ("warn_at", (101,)),
        ("warn_at", tuple(range(1, 12))),
    ],
)
def test_bad_limits_name_their_field(field, value):
    with pytest.raises(Invalid) as caught:
        check_limits(Limits(**{field: value}))
    assert caught.value.code == "bad_limit"
    assert caught.value.message.startswith(f"{field}: ")
    assert caught.value.hint


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+5", "America/Port-au-Prince", "America/Argentina/Buenos_Aires"])
def test_zones(zone):
    assert check_limits(Limits(timezone=zone)).timezone == zone


@pytest.mark.parametrize("kind", [Limits, Shared])
def test_no_more_is_guaranteed_than_allowed(kind):
    check = check_limits if kind is Limits else check_shared
    with pytest.raises(Invalid, match="up_guaranteed: 10 Mbit/s is more than up, 9 Mbit/s"):
        check(kind(up=9_000_000, up_guaranteed=10_000_000))
    assert check(kind(up=0, up_guaranteed=10_000_000))
    assert check(kind(down=9_000_000, up_guaranteed=10_000_000))


def test_what_a_group_shares_has_ranges_too():
    with pytest.raises(Invalid, match=r"^down: 7 bit/s is out of range$"):
        check_shared(Shared(down=7))
