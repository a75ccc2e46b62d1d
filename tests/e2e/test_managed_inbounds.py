"""Inbounds that are added, changed and removed while the real daemon serves real clients."""

import contextlib
import json
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.support.api import API
from tests.support.clients import CONNECT, connect, read_reply, socks5
from tests.support.daemon import Daemon, running_daemon, vpn
from tests.support.plane import login, read_exactly
from tests.support.postgres import running_postgres
from tests.support.servers import echo, tcp_server, unused_port
from tests.support.waiting import until

SETTINGS = {"VPN_PROXY__WORKERS": "2"}
TURN = 0.05  # seconds between two changes


@pytest.fixture(scope="module")
def echo_port():
    with tcp_server(echo) as port:
        yield port


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """Settings of a daemon with an empty database."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(running_postgres()).new_database() if request.param == "postgresql" else ""
        yield SETTINGS | {"VPN_DATABASE__URL": url}


def tunnel(proxy, port):
    """A tunnel of alice's."""
    client = connect(proxy)
    try:
        login(client)
        client.sendall(socks5(CONNECT, "127.0.0.1", port))
        assert read_reply(client)[0] == 0
    except BaseException:
        client.close()
        raise
    return client


def works(client):
    client.sendall(b"echo")
    return read_exactly(client, 4) == b"echo"


def is_reached(proxy, port):
    try:
        with tunnel(proxy, port) as client:
            return works(client)
    except (OSError, AssertionError):
        return False


def add(daemon, name, listen="127.0.0.1:0", *more):
    """Add an inbound for SOCKS; returns its port."""
    command = ("inbounds", "add", "socks", "--name", name, "--listen", listen, *more, "--format", "json")
    result = daemon.vpn(*command)
    assert result.code == 0, result
    return int(json.loads(result.out)["listen"].rpartition(":")[2])


def test_one_that_is_added_serves_and_is_there_after_every_end(data_dir, database, echo_port):
    port = unused_port()
    with running_daemon(data_dir, **database) as daemon:
        daemon.add_user("alice")
        assert add(daemon, "side", f"127.0.0.1:{port}") == port
        with tunnel(port, echo_port) as client:
            assert works(client)
            [side] = [line for line in daemon.vpn("inbounds", "list").out.splitlines() if line.startswith("side")]
            assert side.split() == ["side", "socks", f"127.0.0.1:{port}", "1", "yes"]
        assert f"inbound side  socks on 127.0.0.1:{port}\n" in daemon.vpn("status").out
        assert API(daemon.api, data_dir).get("/health")["parts"]["inbounds"]["detail"] == "2 of 2 served"
    with running_daemon(data_dir, **database) as daemon:
        daemon.wait_for(rf"SOCKS proxy +127\.0\.0\.1:{port}\n")
        assert is_reached(port, echo_port)
        # What a command has answered is there, whatever happens in the next moment.
        assert daemon.vpn("inbounds", "edit", "side", "--max-connections", "77").code == 0
        daemon.stop(signal.SIGKILL)
    with running_daemon(data_dir, **database) as daemon:
        assert json.loads(daemon.vpn("inbounds", "show", "side", "--format", "json").out)["max_connections"] == 77
        last = add(daemon, "last", f"127.0.0.1:{unused_port()}")
        daemon.stop(signal.SIGKILL)
    with running_daemon(data_dir, **database) as daemon:
        assert is_reached(last, echo_port)
        assert daemon.vpn("inbounds", "remove", "side").code == 0
        daemon.stop(signal.SIGKILL)
    with running_daemon(data_dir, **database) as daemon:
        assert not is_reached(port, echo_port)
        assert is_reached(last, echo_port)


def test_what_is_said_without_a_daemon_is_served_by_the_next(data_dir, echo_port):
    port = unused_port()
    assert vpn(data_dir, *f"inbounds add socks --listen 127.0.0.1:{port}".split()).code == 0
    assert vpn(data_dir, *["inbounds", "edit", "socks", "--max-connections", "5"]).code == 0
    with running_daemon(data_dir, **SETTINGS) as daemon:
        daemon.add_user("alice")
        assert is_reached(port, echo_port)


def test_a_port_that_is_taken_at_the_start_is_waited_for(data_dir, echo_port):
    port = unused_port()
    assert vpn(data_dir, *f"inbounds add socks --listen 127.0.0.1:{port}".split()).code == 0
    with socket.create_server(("127.0.0.1", port)) as other, running_daemon(data_dir, **SETTINGS) as daemon:
        daemon.add_user("alice")
        assert "socks is not served" in daemon.out
        daemon.wait_for('"inbound": "socks".*"reason": "cannot listen on .*an inbound is not served', "err")
        api = API(daemon.api, data_dir)
        assert api.get("/api/status")["status"] == "degraded"
        assert api.call("GET", "/ready")[0] == 503
        shown = daemon.vpn("inbounds", "list").out
        assert re.search(r"socks +socks +\S+ +0 +no\n", shown)
        assert "socks is not served: cannot listen on" in shown
        assert "not served: cannot listen on" in daemon.vpn("status").out
        metrics = vpn(data_dir, "status").code
        assert metrics == 0
        assert is_reached(daemon.port, echo_port), "the others are"
        assert daemon.vpn("reload").out == "Inbounds: as they were.\n"
        assert daemon.err.count("an inbound is not served") == 1, "it is said once"
        other.close()
        daemon.wait_for("an inbound is served now", "err")
        assert is_reached(port, echo_port)
        until(lambda: api.get("/health")["status"] == "ok")


def test_one_that_is_not_served_is_moved_or_removed(data_dir, echo_port):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        for name in ("one", "two"):
            port = unused_port()
            assert vpn(data_dir, *f"inbounds add socks --name {name} --listen 127.0.0.1:{port}".split()).code == 0
        assert vpn(data_dir, "inbounds", "edit", "one", "--listen", taken).code == 0
        with running_daemon(data_dir, **SETTINGS) as daemon:
            daemon.add_user("alice")
            refused = daemon.vpn("inbounds", "add", "socks", "--listen", taken)
            assert refused.code == 5, "another inbound is to have that"
            assert daemon.vpn("inbounds", "remove", "two").code == 0, "the port of another is no reason not to"
            free = unused_port()
            assert daemon.vpn("inbounds", "edit", "one", "--listen", f"127.0.0.1:{free}").code == 0
            assert is_reached(free, echo_port)
            refused = daemon.vpn("inbounds", "edit", "one", "--listen", taken)
            assert refused.code == 7
            assert "stop what uses it, or choose another address, with --listen HOST:PORT" in refused.err
            assert is_reached(free, echo_port), "nothing has changed"


class Changes:
    """Inbounds that come, change and go, one every `TURN`, beside all else."""

    def __init__(self, daemon: Daemon) -> None:
        self._api = API(daemon.api, daemon.data_dir)
        self._stop = threading.Event()
        self.answers: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        turns = (
            ("POST", "/api/inbounds", {"name": "brief", "protocol": "socks", "listen": "127.0.0.1:0"}),
            ("PATCH", "/api/inbounds/brief", {"max_connections": 3}),
            ("PATCH", "/api/inbounds/brief", {"listen": f"127.0.0.1:{unused_port()}"}),
            ("DELETE", "/api/inbounds/brief", None),
        )
        while not self._stop.is_set():
            for turn in turns:
                self.answers.append(self._api.call(*turn)[0])
                self._stop.wait(TURN)


def descriptors(daemon):
    """How many files and sockets the workers have open."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in daemon.workers())


def test_others_notice_nothing(data_dir, echo_port):
    with running_daemon(data_dir, **SETTINGS) as daemon:
        daemon.add_user("alice")
        stays = add(daemon, "stays")
        assert is_reached(stays, echo_port)
        before = descriptors(daemon)
        with tunnel(stays, echo_port) as client, tunnel(daemon.port, echo_port) as another, Changes(daemon) as changes:
            for _ in range(200):
                assert works(client)
                assert works(another)
                assert is_reached(stays, echo_port)
            until(lambda: len(changes.answers) >= 40)
            assert works(client)
            assert works(another)
        assert set(changes.answers) == {201, 200, 204}
        until(lambda: descriptors(daemon) <= before, 30)
        workers = API(daemon.api, data_dir).get("/api/status")["workers"]
        assert [each["restarts"] for each in workers] == [0, 0]


def test_clients_of_one_that_is_removed_are_cut_after_a_while(data_dir, echo_port):
    with running_daemon(data_dir, **SETTINGS, VPN_PROXY__DRAIN_TIMEOUT="1") as daemon:
        daemon.add_user("alice")
        listen = f"127.0.0.1:{unused_port()}"
        port = add(daemon, "side", listen)
        with tunnel(port, echo_port) as client, tunnel(daemon.port, echo_port) as stays:
            refused = daemon.vpn("inbounds", "remove", "side")
            assert refused.code == 2
            assert "1 client is connected to side; if that is meant, add --yes" in refused.err
            assert daemon.vpn("inbounds", "remove", "side", "--yes").out == "Removed side.\n"
            assert works(client), "it has some time"
            with pytest.raises(ConnectionRefusedError):
                connect(port)
            assert add(daemon, "again", listen) == port, "the port is free, though its client is still there"
            with tunnel(port, echo_port) as new:
                client.settimeout(10)
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(1) == b""
                assert works(new)
                assert works(stays)
        sessions = json.loads(daemon.vpn("sessions", "list", "--format", "json").out)
        assert [each["inbound"] for each in sessions if each["reason"] == "inbound_removed"] == ["side"]


def test_users_are_kept_to_their_inbounds(data_dir, echo_port):
    with running_daemon(data_dir, **SETTINGS) as daemon:
        port = add(daemon, "side")
        assert daemon.vpn("users", "add", "alice", "--password", "s3cret", "--inbound", "side").code == 0
        assert is_reached(port, echo_port)
        assert not is_reached(daemon.port, echo_port)
        with tunnel(port, echo_port) as client:
            assert daemon.vpn("users", "edit", "alice", "--inbound", "main").code == 0
            client.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
        assert is_reached(daemon.port, echo_port)
        assert not is_reached(port, echo_port)


def test_who_is_banned_is_banned_everywhere(data_dir, echo_port):
    with running_daemon(data_dir, **SETTINGS, VPN_BANS__TRUSTED="127.9.0.0/16") as daemon:
        daemon.add_user("alice")
        assert daemon.vpn("bans", "add", "127.0.0.1").code == 0
        port = add(daemon, "side")
        assert not is_reached(port, echo_port)
        assert daemon.vpn("bans", "remove", "127.0.0.1").code == 0
        assert is_reached(port, echo_port)


def test_links_keep_their_order(data_dir):
    """Outline takes the first one: another order after a start, or a change, would be another server."""

    def linked(daemon):
        shown = json.loads(daemon.vpn("users", "link", "alice", "--format", "json").out)
        return [each["inbound"] for each in shown["links"]]

    with running_daemon(data_dir, **SETTINGS) as daemon:
        daemon.add_user("alice")
        for name in ("phones", "cars"):
            listen = f"127.0.0.1:{unused_port()}"
            assert daemon.vpn("inbounds", "add", "shadowsocks", "--name", name, "--listen", listen).code == 0
        assert linked(daemon) == ["phones", "cars"]
        assert daemon.vpn("inbounds", "edit", "phones", "--listen", f"127.0.0.1:{unused_port()}").code == 0
        assert linked(daemon) == ["phones", "cars"]
    with running_daemon(data_dir, **SETTINGS) as daemon:
        assert linked(daemon) == ["phones", "cars"]
