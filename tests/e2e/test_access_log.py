"""The access log of a real daemon."""

import json
import os
import signal

from tests.support.curl import curl
from tests.support.daemon import running_daemon
from tests.support.waiting import until


def hosts(path):
    return [json.loads(line)["host"] for line in path.read_text().splitlines()] if path.exists() else []


def test_sessions_are_written_the_file_may_be_moved_and_settings_changed(data_dir, tmp_path, web):
    path, config = tmp_path / "access.log", tmp_path / "config.yaml"
    config.write_text(f"log: {{access: {{file: {path}}}}}")
    with running_daemon(data_dir, "--config", str(config)) as daemon:
        daemon.add_user("alice")

        def fetch(host):
            proxy = f"socks5h://alice:s3cret@127.0.0.1:{daemon.port}"
            assert curl("-x", proxy, f"http://{host}:{web}/").code == 0

        fetch("127.0.0.1")
        until(lambda: hosts(path) == ["127.0.0.1"])
        assert path.stat().st_mode & 0o777 == 0o600
        path.rename(f"{path}.1")  # as logrotate does
        daemon.process.send_signal(signal.SIGHUP)
        fetch("localhost")
        until(lambda: hosts(path) == ["localhost"])

        config.write_text(f"log: {{level: warning, access: {{file: {path}, format: combined}}}}")
        assert daemon.vpn("reload").code == 0
        before = daemon.err.count("the settings were reloaded")
        fetch("127.0.0.1")
        until(lambda: "CONNECT 127.0.0.1" in path.read_text())
        assert daemon.vpn("reload").out.endswith("as they were.\n")
        assert daemon.err.count("the settings were reloaded") == before  # it is below the level now
        os.truncate(path, 0)
        fetch("localhost")  # it has not been told of yet
        daemon.stop()
    assert "CONNECT localhost" in path.read_text()
