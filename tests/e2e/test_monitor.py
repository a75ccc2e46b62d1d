"""The live commands against a real daemon, on real terminals."""

import json
import signal
import subprocess

import pytest

from tests.support.api import API
from tests.support.daemon import VPN, environment, running_daemon
from tests.support.metered import Site
from tests.support.servers import echo, tcp_server
from tests.support.terminal import on_terminal
from tests.support.waiting import until


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("monitor") / "data", VPN_PROXY__WORKERS="2") as daemon:
        site = Site(daemon)
        site.add("alice")
        yield site


@pytest.fixture(scope="module")
def echo_port():
    with tcp_server(echo) as port:
        yield port


def on_screen(site, *arguments, **size):
    return on_terminal([VPN, *arguments], environment(site.daemon.data_dir), **size)


def test_monitor_shows_who_moves_what(site, echo_port):
    with on_screen(site, "monitor") as terminal, site.tunnel("alice", echo_port) as client:
        until(lambda: "worker 1" in terminal.picture())

        def moves():
            client.sendall(b"x" * 100_000)
            client.recv(1 << 20)
            return "alice" in terminal.picture() and "bit/s  █" in terminal.picture()

        until(moves)
        assert "1 live" in terminal.picture()
        terminal.press("s")
        until(lambda: "now sessions" in terminal.picture())
        terminal.press("p")
        until(lambda: "paused" in terminal.picture())
        terminal.press("q")
        assert terminal.wait() == 0


def test_one_picture_on_paper_and_for_programs(site):
    shown = site.daemon.vpn("monitor", "--once", COLUMNS="80", LINES="24")
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert "worker 1" in shown.out
    assert "q quit" not in shown.out
    (line,) = site.daemon.vpn("monitor", "--once", "--format", "json").out.splitlines()
    assert [each["number"] for each in json.loads(line)["workers"]] == [0, 1]


def test_a_picture_after_the_other_for_programs(site):
    command = [VPN, "monitor", "--format", "json", "--interval", "0.2"]
    with subprocess.Popen(command, env=environment(site.daemon.data_dir), stdout=subprocess.PIPE, text=True) as running:
        first, second = (json.loads(running.stdout.readline()) for _ in range(2))
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130
    assert first["uptime_seconds"] < second["uptime_seconds"]


def test_watching_sessions_on_a_screen(site, echo_port):
    with on_screen(site, "sessions", "watch", "--user", "alice", columns=200) as terminal:
        until(lambda: "USER" in terminal.picture())
        with site.tunnel("alice", echo_port) as client:
            until(lambda: f"127.0.0.1:{client.getsockname()[1]}" in terminal.picture())
            assert f"127.0.0.1:{echo_port}" in terminal.picture()
        until(lambda: "alice" not in terminal.picture())
        terminal.press("s")
        until(lambda: "now bytes" in terminal.picture())
        terminal.press("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize("format", ["table", "json"])
def test_watching_sessions_line_by_line(site, echo_port, format):
    command = [VPN, "sessions", "watch", "--destination", "127.0.0.0/8", "--format", format]
    with subprocess.Popen(command, env=environment(site.daemon.data_dir), stdout=subprocess.PIPE, text=True) as running:
        API(site.daemon.api, site.daemon.data_dir).get("/api/overview")
        with site.tunnel("alice", echo_port) as client:
            client.sendall(b"hello")
            began = running.stdout.readline()
        ended = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130
    if format == "json":
        assert json.loads(began)["event"] in ("live", "began")
        assert (json.loads(ended)["event"], json.loads(ended)["bytes_sent"]) == ("ended", 5)
    else:
        assert began.split("\t")[1] in ("live", "began")
        assert began.split("\t")[3] == "alice"
        assert ended.split("\t")[1] == "ended"
        assert ended.split("\t")[6:9] == ["5", "5", "closed"]


def test_when_the_daemon_goes_the_picture_stays_and_says_so(tmp_path):
    command = [VPN, "monitor", "--interval", "0.2"]
    with (
        running_daemon(tmp_path / "data", VPN_PROXY__WORKERS="1") as daemon,
        on_terminal(command, environment(daemon.data_dir)) as terminal,
    ):
        until(lambda: "worker 0" in terminal.picture())
        daemon.stop()
        until(lambda: "no daemon is running" in terminal.picture())
        assert "worker 0" in terminal.picture()
        terminal.press("q")
        assert terminal.wait() == 0
    assert daemon.vpn("monitor", "--once").code == 7
