"""Sessions are stored once, whoever is killed, and whatever is away: the real daemon, two workers, real clients."""

import contextlib
import json
import os
import signal

import pytest

from tests.support.books import Books
from tests.support.daemon import running_daemon
from tests.support.history import Crowd, History, is_alive, visit
from tests.support.metered import Site
from tests.support.plane import read_exactly
from tests.support.postgres import running_postgres
from tests.support.servers import echo, tcp_server
from tests.support.small_disk import as_seen_by, beside, on_small_disk
from tests.support.waiting import until

SETTINGS = {
    "VPN_PROXY__WORKERS": "2",
    "VPN_SESSIONS__BATCH_SIZE": "50",
    "VPN_SESSIONS__BATCH_INTERVAL": "0.1",
    "VPN_SESSIONS__CHECKPOINT_INTERVAL": "0.2",
    "VPN_SESSIONS__JOURNAL_SIZE": "64KiB",
}

ROOMY = {"VPN_SESSIONS__JOURNAL_SIZE": "1MiB"}
"""Room for what ends until the daemon, which is busy, has looked."""


def start(data_dir, url="", **settings):
    return running_daemon(data_dir, **SETTINGS | {"VPN_DATABASE__URL": url} | settings)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """Of the database; empty: the file in the data directory."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(running_postgres()).new_database() if request.param == "postgresql" else ""


def logged(daemon, event):
    """The lines about something."""
    return [line for line in map(json.loads, daemon.err.splitlines()) if line["event"] == event]


def source(client):
    return client.getsockname()[1]


def test_a_worker_is_killed_in_the_middle_of_traffic(data_dir):
    history = History(data_dir)
    with start(data_dir, **ROOMY) as daemon, tcp_server(echo) as port:
        site = Site(daemon)
        site.add("alice")
        with site.tunnels("alice", port, each=3) as clients:
            held = sorted(map(source, clients))
            until(lambda: history.ports("status = 'active'") == held)
            with Crowd(daemon.port) as crowd:
                until(lambda: len(crowd.served) > 300)
                os.kill(daemon.workers()[0], signal.SIGKILL)
                daemon.wait_for("worker died", stream="err")
                before = len(crowd.served)
                until(lambda: len(crowd.served) > before + 100)
            living = sorted(source(client) for client in clients if is_alive(client))
            assert 3 <= len(living) <= len(held) - 3
            dead = sorted(set(held) - set(living))
            until(lambda: history.ports("reason = 'worker_died' AND user != ''") == dead)
            assert set(living) <= set(history.ports("status = 'active'"))
        assert daemon.stop() == 0
        missing = sum(line["sessions"] for line in logged(daemon, EVENT_MISSING))
    stored = history.ports()
    assert not history.doubled()
    assert set(held) <= set(stored)
    assert len(set(crowd.served) - set(stored)) <= missing < 100
    assert history.ports("status = 'active'") == []
    assert len(stored) + missing <= len(held) + crowd.tried


EVENT_MISSING = "sessions are unaccounted for: they began just before their worker died"


def test_the_daemon_is_killed_in_the_middle_of_a_batch(data_dir, url):
    history = History(data_dir, url)
    with tcp_server(echo) as port:
        with start(data_dir, url, **ROOMY) as daemon:
            site = Site(daemon, url)
            site.add("alice")
            with site.tunnels("alice", port) as clients:
                held = sorted(map(source, clients))
                until(lambda: history.ports("status = 'active'") == held)
                for client in clients:
                    client.sendall(b"y" * 1000)
                    read_exactly(client, 1000)
                with Crowd(daemon.port) as crowd:
                    until(lambda: len(crowd.served) > 400)
                    os.kill(daemon.process.pid, signal.SIGKILL)
                    Books(data_dir, url).wait_for_workers()
        with start(data_dir, url) as daemon:
            until(lambda: not history.ports("status = 'active'"))
            assert not logged(daemon, "an earlier run has lost sessions")
            assert history.ports("reason = 'daemon_died' AND bytes_sent = 1000") == held
            until(lambda: set(crowd.served) <= set(history.ports()))
            assert not history.doubled()


@pytest.mark.parametrize("fault", ["hanging", "away"])
def test_the_database_is_gone_for_a_while(data_dir, fault):
    with running_postgres() as postgres, tcp_server(echo) as port:
        url = postgres.new_database()
        history = History(data_dir, url)
        with start(data_dir, url) as daemon:
            site = Site(daemon, url)
            site.add("alice")
            sources = []
            site.tunnel("alice", port).close()  # her password is remembered by a worker from now on, by both soon
            with site.tunnels("alice", port) as clients:
                sources += [visit(daemon.port) for _ in range(100)]
                with getattr(postgres, fault)():
                    while not list((data_dir / "sessions").glob("*.spill")):
                        sources += [visit(daemon.port) for _ in range(100)]
                    sources += [visit(daemon.port) for _ in range(300)]
                    assert all(map(is_alive, clients))
                    with site.tunnel("alice", port) as client:
                        assert is_alive(client)
                until(lambda: set(sources) <= set(history.ports()))
            until(lambda: not list((data_dir / "sessions").glob("*.spill")))
            assert len(daemon.workers()) == 2
            assert not logged(daemon, "sessions are lost")
            if fault == "away":
                assert logged(daemon, "sessions cannot be stored now")
                assert logged(daemon, "sessions are stored again")
        assert not history.doubled()


def test_the_daemon_hangs_for_a_while(data_dir):
    history = History(data_dir)
    with start(data_dir) as daemon, tcp_server(echo) as port:
        site = Site(daemon)
        site.add("alice")
        with site.tunnels("alice", port) as clients:
            os.kill(daemon.process.pid, signal.SIGSTOP)
            try:
                sources = [visit(daemon.port) for _ in range(1500)]  # more than the journals hold
                assert all(map(is_alive, clients))
            finally:
                os.kill(daemon.process.pid, signal.SIGCONT)
            until(lambda: set(sources) <= set(history.ports()))
        assert not logged(daemon, "sessions are lost")


def test_the_daemon_hangs_and_is_killed(data_dir):
    history = History(data_dir)
    with start(data_dir) as daemon:
        os.kill(daemon.process.pid, signal.SIGSTOP)
        sources = [visit(daemon.port) for _ in range(1500)]  # more than the journals hold
        os.kill(daemon.process.pid, signal.SIGKILL)
        Books(data_dir).wait_for_workers()
    with start(data_dir) as daemon:
        until(lambda: set(sources) <= set(history.ports()))
        assert not history.doubled()
        assert not logged(daemon, "an earlier run has lost sessions")


def test_what_waits_on_disk_is_damaged_and_the_daemon_killed(data_dir):
    history = History(data_dir)
    with start(data_dir) as daemon:
        sources = [visit(daemon.port) for _ in range(50)]
        until(lambda: set(sources) <= set(history.ports()))
        with history.locked():
            while len(list((data_dir / "sessions").glob("*.spill"))) < 1:
                sources += [visit(daemon.port) for _ in range(100)]
            os.kill(daemon.process.pid, signal.SIGKILL)
            Books(data_dir).wait_for_workers()
    (spill,) = (data_dir / "sessions").glob("*.spill")
    content = bytearray(spill.read_bytes())
    content[100] ^= 0xFF
    spill.write_bytes(content)
    with start(data_dir) as daemon:
        until(lambda: logged(daemon, "a file of waiting sessions is damaged"))
        (line,) = logged(daemon, "sessions that waited on disk are lost: they are damaged")
        assert spill.with_suffix(".damaged").read_bytes() == content
        until(lambda: len(set(sources) - set(history.ports())) == line["sessions"])
        assert 0 < line["sessions"] <= 50
        assert not history.doubled()
        after = visit(daemon.port)
        until(lambda: after in history.ports())


def test_the_disk_is_full(data_dir):
    data_dir.mkdir()
    small = on_small_disk(data_dir, 16 * 1024 * 1024)
    with (
        start(data_dir, through=small, VPN_SESSIONS__SPILL_SIZE="1MB") as daemon,
        tcp_server(echo) as port,
        contextlib.ExitStack() as stack,
    ):
        daemon.data_dir = as_seen_by(daemon.process.pid, data_dir)
        history = History(data_dir, through=beside(daemon.process.pid))
        workers = daemon.workers()
        site = Site(daemon)
        site.add("alice")
        clients = [stack.enter_context(site.tunnel("alice", port)) for _ in range(8)]
        fill(daemon.data_dir / "ballast")
        while not logged(daemon, "sessions are lost"):
            crowd = [visit(daemon.port) for _ in range(100)]
        assert all(map(is_alive, clients))
        with site.tunnel("alice", port) as client:
            assert is_alive(client)
        refused = daemon.vpn("users", "add", "bob", "--password", "s3cret")
        assert refused.code != 0
        assert "disk is full" in refused.err
        (daemon.data_dir / "ballast").unlink()
        crowd = [visit(daemon.port) for _ in range(5)]
        until(lambda: set(crowd) <= set(history.ports()))
        daemon.add_user("bob")
        with site.tunnel("bob", port) as client:
            assert is_alive(client)
        assert all(map(is_alive, clients))
        assert daemon.workers() == workers
        assert not history.doubled()
        assert not [line for line in map(json.loads, daemon.err.splitlines()) if "defect" in line["event"]]


def fill(path):
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
