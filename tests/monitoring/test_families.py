import re

import pytest

from vpn.monitoring.families import FAMILIES, GROUPS
from vpn.monitoring.family import Family


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_named_as_prometheus_wants_it(family):
    assert re.fullmatch(r"vpn(_[a-z]+)+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert bool(family.buckets) == (family.kind == "histogram")
    assert list(family.buckets) == sorted(set(family.buckets))
    assert not {"le", "job", "instance", "quantile"} & set(family.labels)
    assert re.fullmatch(r"[A-Z][^|\n]+\.", family.help), "a sentence that fits into a table"


def test_no_name_is_there_twice():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert sum(map(len, GROUPS.values())) == len(FAMILIES)


@pytest.mark.parametrize(
    ("family", "base", "unit", "series"),
    [
        (Family("a_bytes_total", "counter", "x"), "a_bytes", "bytes", ("a_bytes_total",)),
        (Family("a_total", "counter", "x"), "a", "", ("a_total",)),
        (Family("a_seconds", "gauge", "x"), "a_seconds", "seconds", ("a_seconds",)),
        (
            Family("a_seconds", "histogram", "x", buckets=(1.0,)),
            "a_seconds",
            "seconds",
            ("a_seconds_bucket", "a_seconds_count", "a_seconds_sum"),
        ),
    ],
)
def test_parts_of_a_name(family, base, unit, series):
    assert (family.base, family.unit, family.series) == (base, unit, series)
