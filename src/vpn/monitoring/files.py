"""The files that Prometheus and Grafana work from."""

from __future__ import annotations

import json
from pathlib import PurePath

from vpn.domain.address import Endpoint
from vpn.monitoring.alerts import alerts, rules_text
from vpn.monitoring.dashboards import dashboards

_PROMETHEUS = "http://127.0.0.1:9091"
"""Prometheus' own port is 9090, which is also where our API listens unless it is told otherwise."""
MARK = "Made by: vpn monitor dashboards export"
"""Stands in each file, so that a later export knows what it may replace."""


def monitoring_files(api: Endpoint, token: PurePath, scheme: str = "http") -> dict[str, str]:
    """The text of each file, by its path.

    Args:
        api: where metrics are had.
        token: the file with the token that they need.
        scheme: ``http`` or ``https``.
    """
    files = {
        "prometheus.yml": _prometheus(api, token, scheme),
        "alerts.yml": f"# {MARK}\n{rules_text(alerts())}",
        "grafana/provisioning/datasources/vpn-manager.yml": _datasource(),
        "grafana/provisioning/dashboards/vpn-manager.yml": _provider(),
    }
    for name, content in dashboards().items():
        marked = content | {"description": f"{content['description']} {MARK}."}
        files[f"dashboards/{name}"] = json.dumps(marked, indent=2) + "\n"
    return files


def _prometheus(api: Endpoint, token: PurePath, scheme: str) -> str:
    # JSON's strings are YAML's, too.
    return f"""\
# {MARK}
# An example for Prometheus: take it as it is, or its parts into yours. Alerts and dashboards count on the job's name.
# Port 9090 may be taken by the daemon: prometheus --config.file=prometheus.yml --web.listen-address=127.0.0.1:9091
global:
  scrape_interval: 15s
  evaluation_interval: 15s
rule_files:
  - alerts.yml
scrape_configs:
  - job_name: vpn
    scheme: {scheme}
    metrics_path: /metrics
    authorization:
      type: Bearer
      # Only the daemon's account may read it. Give Prometheus a copy of its own (mode 0600), or set metrics.public.
      credentials_file: {json.dumps(str(token))}
    static_configs:
      - targets: [{json.dumps(str(api))}]
"""


def _datasource() -> str:
    return f"""\
# {MARK}
apiVersion: 1
datasources:
  - name: Prometheus
    type: prometheus
    access: proxy
    url: {_PROMETHEUS}
    isDefault: true
"""


def _provider() -> str:
    return f"""\
# {MARK}
apiVersion: 1
providers:
  - name: vpn-manager
    folder: vpn-manager
    type: file
    options:
      # Where the directory dashboards beside this one lies for Grafana.
      path: /etc/grafana/dashboards
"""
