"""The queries that dashboards and alerts make."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vpn.monitoring.alerts import alerts
from vpn.monitoring.dashboards import dashboards
from vpn.monitoring.families import FAMILIES

SERIES = {series: family for family in FAMILIES for series in family.series}


def queries() -> Iterator[tuple[str, str]]:
    """Where each is, and what it is."""
    for name, content in dashboards().items():
        for panel in content["panels"]:
            for target in panel["targets"]:
                yield f"{name}: {panel['title']} {target['refId']}", target["expr"]
    for alert in alerts():
        yield alert.name, alert.expression


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression names."""
    return set(re.findall(r"\bvpn_\w+", expression))
