import json

import pytest

from vpn.cli import dashboards
from vpn.monitoring.files import MARK


@pytest.fixture
def export(vpn, tmp_path):
    return lambda *arguments: vpn("monitor", "dashboards", "export", str(tmp_path / "out"), *arguments)


def test_the_mark_is_the_same_here_and_there():
    assert dashboards._MARK == MARK, "the command line must not import it"


def test_files_are_written_and_named(export, tmp_path):
    result = export()
    assert result.code == 0
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert {"prometheus.yml", "alerts.yml", "dashboards/overview.json"} < written
    assert all(str(tmp_path / "out" / name) in result.out for name in written)
    assert "Next: " in result.out
    assert str(tmp_path / "data" / "api-token") in (tmp_path / "out" / "prometheus.yml").read_text()


def test_what_is_ours_is_replaced(export, tmp_path):
    export()
    alerts = tmp_path / "out" / "alerts.yml"
    text = alerts.read_text()
    alerts.write_text(f"# {MARK}\nan older one")
    result = export("--format", "json")
    assert {"file": str(alerts)} in json.loads(result.out)
    assert alerts.read_text() == text


def test_what_is_not_ours_is_left_and_nothing_else_written(export, tmp_path):
    (tmp_path / "out").mkdir()
    foreign = tmp_path / "out" / "prometheus.yml"
    foreign.write_text("mine")
    result = export()
    assert result.code == 5
    assert "there are files that are not ours: prometheus.yml" in result.err
    assert "--force" in result.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["prometheus.yml"]
    assert foreign.read_text() == "mine"
    assert export("--force").code == 0
    assert MARK in foreign.read_text()


def test_where_nothing_can_be_written(vpn, tmp_path):
    (tmp_path / "file").write_text("")
    result = vpn("monitor", "dashboards", "export", str(tmp_path / "file"))
    assert result.code == 7
    assert "choose a directory that you may write to" in result.err


def test_every_command_has_help(vpn):
    assert "dashboards" in vpn("monitor", "--help").out
    assert "export" in vpn("monitor", "dashboards", "--help").out
    assert "--force" in vpn("monitor", "dashboards", "export", "--help").out
