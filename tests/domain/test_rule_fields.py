from __future__ import annotations

import pytest

from vpn.domain.errors import Invalid
from vpn.domain.rule_fields import read_group_names, readers

READ = readers(countries=True)


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("destinations", "a.test", ("a.test",)),
        ("destinations", ["a.test", "10.0.0.0/8", "country:DE:443"], ("a.test", "10.0.0.0/8", "country:DE:443")),
        ("ports", 443, ("443",)),
        ("ports", "80, 443,8000-9000", ("80", "443", "8000-9000")),
        ("ports", ["*"], ("*",)),
        ("protocols", "both", ("tcp", "udp")),
        ("protocols", ["udp", "tcp", "udp"], ("tcp", "udp")),
        ("sources", [], ()),
        ("sources", "10.0.0.0/8", ("10.0.0.0/8",)),
        ("hours", "mon-fri 08:00-18:00", ("mon-fri 08:00-18:00",)),
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("priority", -7, -7),
        ("enabled", False, False),
        ("description", "no 🦑 here", "no 🦑 here"),
    ],
)
def test_what_is_written_and_what_is_meant(field, written, meant):
    assert READ[field](written) == meant


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("action", "deny"),
        ("action", True),
        ("destinations", []),
        ("destinations", ["10.0.0.1/8"]),
        ("destinations", [1.5]),
        ("destinations", ["a"] * 1001),
        ("destinations", "a" * 301),
        ("ports", []),
        ("ports", ""),
        ("ports", "http"),
        ("ports", 65536),
        ("ports", -1),
        ("ports", "90-80"),
        ("ports", True),
        ("ports", "1," * 1001),
        ("protocols", []),
        ("protocols", "icmp"),
        ("protocols", [["tcp"]]),
        ("sources", ["10.0.0.1/8"]),
        ("hours", ["monday"]),
        ("hours", ["mon"] * 51),
        ("timezone", "Berlin"),
        ("timezone", 1),
        ("priority", 1.0),
        ("priority", True),
        ("priority", 1_000_001),
        ("enabled", "yes"),
        ("description", "two\nlines"),
        ("description", "a\u2028b"),
        ("description", "x" * 501),
        ("description", 5),
    ],
)
def test_what_is_wrong_is_told_in_one_line(field, written):
    with pytest.raises(Invalid) as caught:
        READ[field](written)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_names_of_groups_are_compared_without_regard_to_case():
    assert read_group_names(["Staff", "ops", "STAFF"]) == ("staff", "ops")
    with pytest.raises(Invalid):
        read_group_names(["a b"])


def test_countries_that_cannot_be_told_are_no_destinations():
    read = readers(countries=False)["destinations"]
    assert read(["a.test"])
    with pytest.raises(Invalid) as caught:
        read(["country:DE"])
    assert "policy.geoip" in caught.value.hint
