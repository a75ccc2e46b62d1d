"""The log of a real daemon, as people read it."""

import json
import os
import signal
import subprocess
import urllib.request

from tests.support.curl import curl
from tests.support.daemon import VPN, environment, running_daemon
from tests.support.waiting import until


def followed(daemon, *options, **variables):
    return subprocess.Popen(
        [VPN, "logs", "--follow", *options],
        env=environment(daemon.data_dir, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_log_is_shown_and_followed_until_the_daemon_stops(data_dir):
    with running_daemon(data_dir, VPN_LOG__LEVELS__BANS="error") as daemon:
        daemon.add_user("alice")
        lines = [json.loads(line) for line in daemon.vpn("logs", "--format", "json").out.splitlines()]
        assert "ready" in [line["event"] for line in lines]
        assert "ready" in daemon.vpn("logs", "--area", "daemon", "--search", "READY").out
        assert daemon.vpn("logs", "--level", "error").out == ""

        token = (data_dir / "api-token").read_text().strip()
        followers = [
            followed(daemon, "--format", "json", "--limit", "1000"),
            followed(daemon, "--area", "daemon", VPN_SERVER=daemon.api, VPN_TOKEN=token),
        ]
        heard = [follower.stdout.readline() for follower in followers]  # they follow
        assert json.loads(heard[0])["event"]
        daemon.vpn("bans", "add", "192.0.2.1")
        daemon.process.send_signal(signal.SIGHUP)
        heard[1] += followers[1].stdout.readline()
        while "the settings were reloaded" not in heard[1]:
            heard[1] += followers[1].stdout.readline()
        assert daemon.stop() == 0
        for follower in followers:
            out, err = follower.communicate(timeout=10)
            assert (follower.returncode, err) == (0, "")
        assert out.endswith("The daemon has stopped.\n")
        assert '"banned"' not in heard[0] + daemon.err


def test_noteworthy_events_of_a_daemon(data_dir):
    with running_daemon(data_dir, VPN_PROXY__WORKERS="1") as daemon:
        (worker,) = daemon.workers()
        os.kill(worker, signal.SIGKILL)
        daemon.wait_for("worker started again", "err")
        for _ in range(3):
            assert curl("-x", f"socks5://alice:wrong@127.0.0.1:{daemon.port}", "http://127.0.0.1:1/").code

        def events():
            token = (data_dir / "api-token").read_text().strip()
            request = urllib.request.Request(
                f"{daemon.api}/api/telemetry/events", headers={"Authorization": f"Bearer {token}"}
            )
            with urllib.request.urlopen(request, timeout=5) as answer:
                return {event["message"]: event for event in json.load(answer)}

        until(lambda: events().get("authentication failed", {"count": 0})["count"] == 3)
        found = events()
        assert found["worker died"]["severity"] == "error"
        assert found["worker started again"]["category"] == "proxy"
        assert found["ready"]["severity"] == "info"


def test_a_daemon_whose_log_cannot_be_written_serves_and_remembers(data_dir):
    with running_daemon(data_dir, through=("sh", "-c", 'exec "$@" 2>/dev/full', "sh")) as daemon:
        assert curl("-x", f"socks5://alice:wrong@127.0.0.1:{daemon.port}", "http://127.0.0.1:1/").code
        until(lambda: "authentication failed" in daemon.vpn("logs").out)
        assert "ready" in daemon.vpn("logs", "--area", "daemon").out
