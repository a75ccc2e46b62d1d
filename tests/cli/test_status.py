import json

import pytest

from tests.support.daemon import running_daemon
from vpn.cli.status import _duration


def test_the_daemons_state(tmp_path):
    with running_daemon(tmp_path / "data", "--workers", "2") as daemon:
        said = daemon.vpn("status").out
        assert "status        ok\n" in said
        assert "workers       2 of 2 serving, 0 restarts\n" in said
        assert f"inbound main  mixed on 127.0.0.1:{daemon.port}\n" in said
        state = json.loads(daemon.vpn("status", "--format", "json").out)
        assert [worker["ready"] for worker in state["workers"]] == [True, True]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59, "59s"), (3600, "1h"), (90061, "1d 1h 1m 1s"), (86400 * 400, "400d")]
)
def test_durations(seconds, text):
    assert _duration(seconds) == text
