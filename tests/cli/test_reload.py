import json

from tests.support.daemon import running_daemon, vpn


def test_what_was_changed_is_told(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("proxy: {workers: 1}\n")
    with running_daemon(tmp_path / "data", "--config", str(config)) as daemon:
        assert daemon.vpn("reload").out == "Inbounds: as they were.\n"
        config.write_text("proxy:\n  workers: 2\n  inbounds: {lab: {listen: '127.0.0.1:0'}}\n")
        assert daemon.vpn("reload").out == ("Inbounds: added lab.\nIn force only after a restart: proxy.workers.\n")
        told = json.loads(daemon.vpn("reload", "--format", "json").out)
        assert told == {"added": [], "removed": [], "changed": [], "restart_needed": ["proxy.workers"]}


def test_without_a_daemon_it_says_so(tmp_path):
    result = vpn(tmp_path / "data", "reload")
    assert result.code != 0
    assert "daemon" in result.err
