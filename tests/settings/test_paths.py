from pathlib import Path

from vpn.settings.paths import default_data_dir, find_config


def test_the_data_directory_of_root_and_of_others(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir({"HOME": "/root"}) == Path("/var/lib/vpn-manager")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert default_data_dir({"HOME": "/home/a"}) == Path("/home/a/.local/share/vpn-manager")
    assert default_data_dir({"HOME": "/home/a", "XDG_DATA_HOME": "/x"}) == Path("/x/vpn-manager")


def test_the_users_configuration_is_found(tmp_path):
    assert find_config({"XDG_CONFIG_HOME": str(tmp_path)}) is None
    config = tmp_path / "vpn-manager" / "config.yml"
    config.parent.mkdir()
    config.touch()
    assert find_config({"XDG_CONFIG_HOME": str(tmp_path)}) == config
