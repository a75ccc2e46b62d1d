"""Whether a real daemon says that it is ready when it is, and only then."""

import os
import signal
import urllib.error
import urllib.request

import pytest

from tests.support.api import API
from tests.support.daemon import running_daemon
from tests.support.postgres import running_postgres
from tests.support.waiting import until


def readiness(daemon):
    """Status and parts, as a load balancer sees them that has no token."""
    try:
        with urllib.request.urlopen(f"{daemon.api}/ready", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_worker_that_hangs_or_is_gone_is_missed(tmp_path):
    with running_daemon(tmp_path / "data", VPN_PROXY__WORKERS="2") as daemon:
        api = API(daemon.api, daemon.data_dir)
        assert readiness(daemon) == 200
        first, _ = daemon.workers()
        os.kill(first, signal.SIGSTOP)
        try:
            until(lambda: readiness(daemon) == 503)
            parts = api.call("GET", "/ready")[1]["parts"]
            assert parts["workers"] == {"state": "failed", "detail": "1 of 2 serving"}
            assert (parts["database"]["state"], parts["disk"]["state"]) == ("ok", "ok")
            status, health = api.call("GET", "/health")
            assert (status, health["status"]) == (200, "degraded"), "to start it again would help nobody"
        finally:
            os.kill(first, signal.SIGCONT)
        until(lambda: readiness(daemon) == 200)
        os.kill(first, signal.SIGKILL)
        until(lambda: api.get("/api/status")["workers"][0]["restarts"] == 1)
        until(lambda: readiness(daemon) == 200)
        request = urllib.request.Request(f"{daemon.api}/ready", method="HEAD")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert (answer.status, answer.read()) == (200, b"")


def test_a_database_that_is_away_is_missed(tmp_path):
    with running_postgres() as postgres:
        url = postgres.new_database()
        with running_daemon(tmp_path / "data", VPN_DATABASE__URL=url, VPN_PROXY__WORKERS="1") as daemon:
            assert readiness(daemon) == 200
            with postgres.away():
                until(lambda: readiness(daemon) == 503)
                parts = API(daemon.api, daemon.data_dir).call("GET", "/ready")[1]["parts"]
                assert parts["database"]["state"] == "failed"
                assert parts["workers"]["state"] == "ok"
                assert "postgres" not in parts["database"]["detail"], "it tells nobody where"
            until(lambda: readiness(daemon) == 200)


@pytest.mark.parametrize(("least", "status"), [("0", 200), ("1000PB", 503)])
def test_a_disk_that_is_full_is_missed(tmp_path, least, status):
    with running_daemon(tmp_path / "data", VPN_HEALTH__MIN_FREE_SPACE=least, VPN_PROXY__WORKERS="1") as daemon:
        assert readiness(daemon) == status
