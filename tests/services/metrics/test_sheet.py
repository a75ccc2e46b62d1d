import pytest
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from vpn.monitoring.daemon_families import DAEMON_LAG, DAEMON_MEMORY, USERS_BLOCKED
from vpn.monitoring.families import FAMILIES
from vpn.monitoring.session_families import TRAFFIC
from vpn.services.metrics.histogram import Histogram
from vpn.services.metrics.sheet import Sheet, histogram_of


def read(sheet):
    """As a strict reader sees it."""
    return {family.name: family for family in text_string_to_metric_families(generate_latest(sheet).decode())}


def samples(sheet, family):
    return {(each.name, *sorted(each.labels.items())): each.value for each in read(sheet)[family.base].samples}


def test_an_empty_sheet_has_every_metric_of_the_table():
    found = read(Sheet())
    assert [(name, each.type, each.unit) for name, each in found.items()] == [
        (family.base, family.kind, family.unit) for family in FAMILIES
    ]


def test_figures_bear_their_labels():
    sheet = Sheet()
    sheet.put(TRAFFIC, 5, 'ma"in\n', "sent")
    assert samples(sheet, TRAFFIC) == {(TRAFFIC.name, ("direction", "sent"), ("inbound", 'ma"in\n')): 5}
    with pytest.raises(ValueError, match="zip"):
        sheet.put(TRAFFIC, 5, "main")


def test_what_nobody_knows_is_not_there():
    sheet = Sheet()
    sheet.put_known(DAEMON_MEMORY, None)
    sheet.put_known(USERS_BLOCKED, 0, "x")
    assert samples(sheet, DAEMON_MEMORY) == {}
    assert list(samples(sheet, USERS_BLOCKED).values()) == [0]


def test_a_histogram_is_cumulative():
    sheet = Sheet()
    histogram = Histogram(DAEMON_LAG.buckets)
    for value in (0.0, 0.002, 5.0):
        histogram.add(value)
    sheet.put_histogram(DAEMON_LAG, histogram)
    found = samples(sheet, DAEMON_LAG)
    assert found[f"{DAEMON_LAG.name}_bucket", ("le", "0.001")] == 1
    assert found[f"{DAEMON_LAG.name}_bucket", ("le", "0.005")] == 2
    assert found[f"{DAEMON_LAG.name}_bucket", ("le", "+Inf")] == found[f"{DAEMON_LAG.name}_count",] == 3
    assert found[f"{DAEMON_LAG.name}_sum",] == 5.002


def test_a_histogram_that_others_count():
    assert histogram_of((1.0, 2.0), [1, 0, 2], 9.5).cumulative() == [1, 1, 3]
    assert histogram_of((1.0, 2.0), [], 0.0).cumulative() == [0, 0, 0]
