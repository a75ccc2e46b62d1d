import json
import re

import pytest

from tests.support.queries import SERIES, metrics_in, queries
from vpn.monitoring.dashboards import dashboards

DASHBOARDS = dashboards()


def test_those_that_were_promised():
    assert set(DASHBOARDS) == {
        "overview.json",
        "users.json",
        "acl.json",
        "performance.json",
        "destinations.json",
        "durations.json",
    }
    assert {panel["type"] for content in DASHBOARDS.values() for panel in content["panels"]} == {
        "timeseries",
        "stat",
        "table",
        "heatmap",
    }
    assert all(panel["type"] == "heatmap" for panel in DASHBOARDS["durations.json"]["panels"])


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_a_dashboard_is_whole(name):
    content = DASHBOARDS[name]
    assert content["uid"] == f"vpn-manager-{name.removesuffix('.json')}", "links to it must hold"
    assert json.loads(json.dumps(content)) == content
    ids = [panel["id"] for panel in content["panels"]]
    assert len(set(ids)) == len(ids) > 0
    assert all(panel["description"].endswith(".") for panel in content["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in content["panels"])


@pytest.mark.parametrize(("place", "expression"), list(queries()))
def test_queries_name_what_there_is(place, expression):
    for name in metrics_in(expression):
        assert name in SERIES, f"{place}: no metric {name}"
    labels = {label for name in metrics_in(expression) for label in SERIES[name].labels}
    for used in re.findall(r"by \(([^)]*)\)", expression):
        assert set(used.split(", ")) <= labels | {"le", "job", "instance"}, place


def test_legends_name_labels_that_are_left():
    for content in DASHBOARDS.values():
        for panel in content["panels"]:
            for target in panel["targets"]:
                labels = {label for name in metrics_in(target["expr"]) for label in SERIES[name].labels} | {"le"}
                assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels, panel["title"]
