"""Grafana's panels, as dictionaries in the shape of its dashboards' JSON (schema version 39)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from vpn.monitoring.daemon_families import BUILD
from vpn.monitoring.promql import JOB, select

Panel = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
INSTANCE = 'instance=~"$instance"'
"""Selects the daemons that are chosen at the top of a dashboard."""
WIDTH = 24
"""Columns of Grafana's grid."""


class Query(NamedTuple):
    """What a panel shows."""

    expression: str
    legend: str = ""
    """With labels as ``{{user}}``."""


def timeseries(title: str, description: str, queries: Sequence[Query], unit: str, *, stacked: bool = False) -> Panel:
    """Lines over time; `unit` is one of Grafana's."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if stacked else 8, "showPoints": "never"}
    custom["stacking"] = {"mode": "normal" if stacked else "none", "group": "A"}
    return _panel("timeseries", title, description, queries) | {
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def stat(title: str, description: str, query: Query, unit: str, warn: float | None = None) -> Panel:
    """One figure, in another colour from `warn` on."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if warn is not None:
        steps.append({"color": "red", "value": warn})
    return _panel("stat", title, description, [query]) | {
        "fieldConfig": {
            "defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "textMode": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
    }


def table(title: str, description: str, query: Query, unit: str, columns: Sequence[str]) -> Panel:
    """A row for each series, the largest first; `columns` are the labels that are shown."""
    panel = _panel("table", title, description, [query])
    panel["targets"][0] |= {"format": "table", "instant": True, "range": False}
    shown = {name: position for position, name in enumerate([*columns, "Value"])}
    return panel | {
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"align": "auto"}}, "overrides": []},
        "options": {"showHeader": True, "sortBy": [{"displayName": "Value", "desc": True}]},
        "transformations": [
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": shown}},
        ],
    }


def heatmap(title: str, description: str, query: Query, unit: str) -> Panel:
    """A histogram over time; the query gives its buckets."""
    panel = _panel("heatmap", title, description, [query])
    panel["targets"][0] |= {"format": "heatmap"}
    return panel | {
        "fieldConfig": {"defaults": {"custom": {"scaleDistribution": {"type": "linear"}}}, "overrides": []},
        "options": {
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Turbo", "steps": 64, "exponent": 0.5, "fill": "dark-orange"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "tooltip": {"show": True, "mode": "single", "showColorScale": False, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
        },
    }


def laid_out(rows: Sequence[Sequence[Panel]]) -> list[Panel]:
    """Panels in their places: those of a row share its width, and figures are lower than the rest."""
    placed: list[Panel] = []
    y = 0
    for row in rows:
        width = WIDTH // len(row)
        height = 4 if all(panel["type"] == "stat" for panel in row) else 8
        for position, panel in enumerate(row):
            x = position * width
            w = width if position + 1 < len(row) else WIDTH - x
            where = {"x": x, "y": y, "w": w, "h": height}
            placed.append(panel | {"id": len(placed) + 1, "gridPos": where})
        y += height
    return placed


def dashboard(uid: str, title: str, description: str, rows: Sequence[Sequence[Panel]]) -> dict[str, Any]:
    """A dashboard. Its `uid` stays the same over all versions, so that links to it hold."""
    links = [{"type": "dashboards", "title": "vpn-manager", "tags": ["vpn-manager"], "asDropdown": True}]
    return {
        "uid": uid,
        "title": f"vpn-manager: {title}",
        "description": description,
        "tags": ["vpn-manager"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "links": links,
        "annotations": {"list": []},
        "templating": {"list": _variables()},
        "panels": laid_out(rows),
    }


def _variables() -> list[dict[str, Any]]:
    """What is chosen at the top of a dashboard: the data source, and which daemons."""
    query = f"label_values({select(BUILD)}, instance)"
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "multi": False}
    instance = {
        "name": "instance",
        "label": "Daemon",
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "instance"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
    }
    return [
        source | {"current": {}, "hide": 0, "options": [], "refresh": 1, "regex": "", "includeAll": False},
        instance | {"current": {"text": ["All"], "value": ["$__all"]}, "hide": 0, "options": [], "regex": ""},
    ]


def _panel(kind: str, title: str, description: str, queries: Sequence[Query]) -> Panel:
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expression.replace(JOB, f"{JOB}, {INSTANCE}"),
            "legendFormat": query.legend or "__auto",
            "range": True,
        }
        for number, query in enumerate(queries)
    ]
    return {"type": kind, "title": title, "description": description, "datasource": DATASOURCE, "targets": targets}
