"""What a newcomer does: two commands, and what is printed is pasted."""

import contextlib
import json
import re
import shlex
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

from tests.support.curl import curl
from tests.support.daemon import VPN, Daemon, environment, running_daemon, vpn
from tests.support.plane import read_all, read_exactly
from tests.support.servers import echo, tcp_server, web_server
from vpn.data_directory import DataDirectory


def modes(directory):
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in directory.iterdir()}


def test_the_first_start_prints_what_is_needed_and_later_ones_no_secret(data_dir):
    with web_server() as web, running_daemon(data_dir) as daemon:
        lines = [shlex.split(line) for line in daemon.out.splitlines() if line.strip().startswith("curl ")]
        assert [line[-2].partition(":")[0] for line in lines] == ["socks5h", "http"]
        for line in lines:
            result = curl(*line[1:-1], f"http://127.0.0.1:{web}/pasted")
            assert (result.code, result.out) == (0, "hello /pasted"), result
        assert f"API docs               {daemon.api}/docs" in daemon.out
        assert str(data_dir / "api-token") in daemon.out
        assert "users add alice" in daemon.out
        password = lines[0][-2].split(":")[2].partition("@")[0]
        token = (data_dir / "api-token").read_text().strip()

        assert oct(stat.S_IMODE(data_dir.stat().st_mode)) == "0o700"
        found = modes(data_dir)
        assert {found[name] for name in ("key", "api-token", "vpn.db", "api.sock", "lock")} == {"0o600"}
    with running_daemon(data_dir) as daemon:
        assert "curl" not in daemon.out
        for secret in (password, token):
            assert secret not in daemon.out + daemon.err


def test_bob_is_added_gets_through_is_disabled_and_his_tunnel_closes(data_dir):
    with web_server() as web, tcp_server(echo) as echo_port, running_daemon(data_dir) as daemon:
        added = daemon.vpn("users", "add", "bob", "--password", "s3cret")
        assert added.code == 0
        url = f"http://127.0.0.1:{web}/bob"
        links = re.findall(r"curl .*-x (\S+)", added.out)
        assert len(links) == 2
        for link in links:
            assert curl("-x", link, "-p", url).out == "hello /bob"

        with socket.create_connection(("127.0.0.1", daemon.port), timeout=5) as tunnel:
            tunnel.sendall(b"\x05\x01\x02\x01\x03bob\x06s3cret")
            read_exactly(tunnel, 4)
            tunnel.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + echo_port.to_bytes(2, "big") + b"ping")
            assert read_exactly(tunnel, 14)[10:] == b"ping"

            assert daemon.vpn("users", "disable", "bob").code == 0
            try:
                assert read_all(tunnel) == b""
            except ConnectionResetError:
                pass
        assert curl("-x", links[0], url).code == 97
        assert "407" in curl("-x", links[1], "-p", url).err

        assert daemon.vpn("users", "enable", "bob").code == 0
        assert curl("-x", links[0], url).out == "hello /bob"


def test_the_command_line_works_before_the_daemon_and_serves_the_same_users(data_dir):
    added = vpn(data_dir, "users", "add", "early", "--format", "json", VPN_PROXY__LISTEN="127.0.0.1:1080")
    assert added.code == 0, added
    password = json.loads(added.out)["password"]
    assert [user["name"] for user in json.loads(vpn(data_dir, "users", "list", "--format", "json").out)] == ["early"]
    with web_server() as web, running_daemon(data_dir) as daemon:
        assert "curl" not in daemon.out, "there is a user already, so no first one is made"
        link = f"socks5h://early:{password}@127.0.0.1:{daemon.port}"
        assert curl("-x", link, f"http://127.0.0.1:{web}/").out == "hello /"


def test_it_stops_in_good_order_on_both_signals(data_dir):
    for number in (signal.SIGINT, signal.SIGTERM):
        daemon = Daemon(data_dir).ready()
        workers = daemon.workers()
        assert workers
        assert daemon.stop(number) == 0
        assert not (data_dir / "api.sock").exists()
        assert '"event": "stopped"' in daemon.err
        assert "rror" not in daemon.err


def test_draining_waits_for_tunnels_and_a_second_signal_does_not(data_dir):
    with tcp_server(echo) as echo_port:
        daemon = Daemon(data_dir, VPN_PROXY__DRAIN_TIMEOUT="60").ready()
        daemon.add_user("bob")
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=5) as tunnel:
            tunnel.sendall(b"\x05\x01\x02\x01\x03bob\x06s3cret")
            read_exactly(tunnel, 4)
            tunnel.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + echo_port.to_bytes(2, "big"))
            read_exactly(tunnel, 10)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_for("stopping", "err")
            tunnel.sendall(b"still here")
            assert read_exactly(tunnel, 10) == b"still here"
            assert daemon.process.poll() is None
            assert daemon.stop(signal.SIGTERM) == 128 + signal.SIGTERM


def test_a_daemon_that_is_killed_takes_its_workers_with_it_and_starts_again(data_dir):
    daemon = Daemon(data_dir).ready()
    port = daemon.port
    daemon.stop(signal.SIGKILL)
    # The same port is free again: no orphan holds it.
    with running_daemon(data_dir, VPN_PROXY__LISTEN=f"127.0.0.1:{port}") as again:
        assert again.port == port
        assert again.vpn("users", "list").code == 0


def test_a_password_that_could_not_be_shown_is_shown_the_next_time(data_dir):
    """Standard output is full at the first start: the user is made, but nobody has seen the password."""
    variables = {"VPN_PROXY__LISTEN": "127.0.0.1:0", "VPN_API__LISTEN": "127.0.0.1:0", "VPN_LOG__FORMAT": "json"}
    with open("/dev/full", "w") as full:
        daemon = subprocess.Popen(
            [VPN, "serve"], env=environment(data_dir, **variables), stdout=full, stderr=subprocess.PIPE, text=True
        )
        for line in daemon.stderr:
            if '"event": "ready"' in line:
                break
        daemon.terminate()
        daemon.communicate(timeout=20)
    assert daemon.returncode == 0
    with web_server() as web, running_daemon(data_dir) as again:
        link = re.search(r"curl -x (socks5h\S+)", again.out)[1]
        assert curl("-x", link, f"http://127.0.0.1:{web}/").out == "hello /"
    with running_daemon(data_dir) as later:
        assert "curl" not in later.out


def test_a_signal_while_it_starts(data_dir):
    """It stops, with nothing half-made: the next start is in order."""
    daemon = Daemon(data_dir)
    while not (data_dir / "lock").exists():
        assert daemon.process.poll() is None
        time.sleep(0.005)
    assert daemon.stop() == 0
    with running_daemon(data_dir) as again:
        assert again.vpn("users", "list").code == 0


def test_a_command_that_is_under_way_does_not_hold_up_a_start(data_dir):
    with DataDirectory(data_dir):
        daemon = Daemon(data_dir)
        while "lock" not in {Path(link).name for link in _open_files(daemon.process.pid)}:
            assert daemon.process.poll() is None
            time.sleep(0.005)
    daemon.ready()
    assert daemon.stop() == 0


def _open_files(pid):
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            yield descriptor.readlink()
