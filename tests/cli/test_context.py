from pathlib import Path

import pytest

from vpn.api.client import Unreachable
from vpn.cli.context import Context
from vpn.cli.output import Format, Output


def context(**fields):
    empty = {"server": None, "token": None, "data_dir": None, "config": None}
    return Context(Output(Format.TABLE), **empty | fields)


def test_where_the_data_directory_is_found(tmp_path, monkeypatch):
    config = tmp_path / "c.yaml"
    config.write_text("data_dir: /from/config\n")
    monkeypatch.delenv("VPN_DATA_DIR", raising=False)
    assert context(config=config).find_data_dir() == Path("/from/config")
    monkeypatch.setenv("VPN_CONFIG", str(config))
    assert context().find_data_dir() == Path("/from/config")
    monkeypatch.setenv("VPN_DATA_DIR", "/from/environment")
    assert context(config=config).find_data_dir() == Path("/from/environment")
    assert context(data_dir=Path("/from/flag")).find_data_dir() == Path("/from/flag")
    monkeypatch.delenv("VPN_DATA_DIR")
    config.write_text("log: {level: info}\n")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert context().find_data_dir() == Path("/var/lib/vpn-manager")


def test_a_server_elsewhere_needs_a_token(tmp_path):
    with pytest.raises(Unreachable, match="no token"):
        context(server="http://127.0.0.1:1", data_dir=tmp_path).client()
    (tmp_path / "api-token").write_text("t\n")
    context(server="http://127.0.0.1:1", data_dir=tmp_path).client()


def test_status_needs_a_daemon(tmp_path):
    with pytest.raises(Unreachable, match="no daemon is running"):
        context(data_dir=tmp_path).client(daemon_only=True).status()
