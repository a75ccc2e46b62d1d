import json
from pathlib import PurePosixPath

from ruamel.yaml import YAML

from tests.support.programs import run_program
from vpn.domain.address import Endpoint
from vpn.monitoring.files import MARK, monitoring_files

FILES = monitoring_files(Endpoint("127.0.0.1", 9090), PurePosixPath("/var/lib/a b/api-token"))


def parsed(name):
    return YAML(typ="safe").load(FILES[name])


def test_every_file_bears_the_mark():
    assert all(MARK in text for text in FILES.values())
    assert all(json.loads(text)["uid"] for name, text in FILES.items() if name.endswith(".json"))


def test_prometheus_takes_the_example(tmp_path):
    for name in ("prometheus.yml", "alerts.yml"):
        (tmp_path / name).write_text(FILES[name].replace("/var/lib/a b/api-token", str(tmp_path / "api-token")))
    (tmp_path / "api-token").write_text("secret")
    done = run_program("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    assert done.code == 0, done
    [job] = parsed("prometheus.yml")["scrape_configs"]
    assert job["authorization"] == {"type": "Bearer", "credentials_file": "/var/lib/a b/api-token"}
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9090"]}]


def test_grafana_is_told_of_both():
    [source] = parsed("grafana/provisioning/datasources/vpn-manager.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9091")
    [provider] = parsed("grafana/provisioning/dashboards/vpn-manager.yml")["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/etc/grafana/dashboards")
