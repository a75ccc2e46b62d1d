"""What users move is booked once, whoever is killed meanwhile: the real daemon, two workers, real clients."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon
from tests.support.metered import MIB, PAYLOAD, Site, at_once, drain, pour
from tests.support.plane import read_all, read_exactly
from tests.support.postgres import running_postgres
from tests.support.servers import hold, tcp_server
from tests.support.waiting import until
from vpn.proxy.meter import DOWN

QUOTA = 48 * MIB
OVERSHOOT = MIB
SOCKETS = 12 * MIB
"""Bytes that the sockets of one connection may hold after the worker has counted them."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """Of the database; empty: the file in the data directory."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(running_postgres()).new_database() if request.param == "postgresql" else ""


def start(data_dir, url=""):
    return running_daemon(data_dir, VPN_PROXY__WORKERS="2", VPN_DATABASE__URL=url)


def test_a_worker_is_killed(tmp_path):
    with start(tmp_path / "data") as daemon, tcp_server(lambda connection: connection.sendall(PAYLOAD)) as port:
        site = Site(daemon)
        site.add("alice")
        with site.tunnels("alice", port, each=3) as clients:
            begun = [(client, read_exactly(client, MIB)) for client in clients]
            before = site.books.connections("alice")
            victim, *_ = daemon.workers()
            os.kill(victim, signal.SIGKILL)
            got = at_once(read_on, begun)
        whole = [count for count in got if count == len(PAYLOAD)]
        broken = [count for count in got if count < len(PAYLOAD)]
        assert sorted([len(whole), len(broken)]) == sorted(before)
        counted = site.books.cells("alice", DOWN)
        survivor = counted.index(len(whole) * len(PAYLOAD))
        assert sum(broken) <= counted[1 - survivor] <= sum(broken) + len(broken) * SOCKETS
        until(lambda: site.books.booked("alice") == sum(counted))
        daemon.wait_for("worker died", stream="err")
        until(lambda: len(daemon.workers()) == 2)
        with site.tunnels("alice", port) as clients:
            again = sum(at_once(lambda client: len(read_all(client)), clients))
        until(lambda: site.books.booked("alice") == sum(counted) + again)
        site.is_cut("alice")


def read_on(begun):
    """Read on to the end, which may be a reset; returns how much it was with what had been read before."""
    client, piece = begun
    count = len(piece)
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(1 << 20):
            count += len(data)
    return count


def test_the_daemon_is_killed_again_and_again(tmp_path, url):
    data_dir = tmp_path / "data"
    owed = 0
    for life in range(3):
        with start(data_dir, url) as daemon, tcp_server(pour) as port:
            site = Site(daemon, url)
            if not life:
                site.add("alice")
            assert site.books.booked("alice") == owed, "what was counted in the last life"
            with site.tunnels("alice", port) as clients:
                for client in clients:
                    client.sendall(b"?")
                    read_exactly(client, MIB)
                until(lambda owed=owed, site=site: site.books.booked("alice") > owed)
                for client in clients:
                    read_exactly(client, MIB)
                os.kill(daemon.process.pid, signal.SIGKILL)
                rest = sum(at_once(drain_or_end, clients))
            site.books.wait_for_workers()
            owed += site.books.counted("alice")
            assert site.books.counted("alice") >= len(clients) * 2 * MIB + rest
    with start(data_dir, url) as daemon:
        assert Site(daemon, url).books.booked("alice") == owed


def drain_or_end(client):
    return read_on((client, b""))


def test_a_quota_holds_over_a_crash(tmp_path):
    def begin(connection):
        connection.sendall(PAYLOAD[: QUOTA // 3])
        hold(connection)

    with tcp_server(begin) as some, tcp_server(pour) as port:
        with start(tmp_path / "data") as daemon:
            site = Site(daemon)
            site.add("alice", "--data-limit", str(QUOTA))
            with site.tunnel("alice", some) as client:
                read_exactly(client, QUOTA // 3)
                os.kill(daemon.process.pid, signal.SIGKILL)
                site.books.wait_for_workers()
            before = site.books.counted("alice")
            assert before == QUOTA // 3
        with start(tmp_path / "data") as daemon:
            site = Site(daemon)
            with site.tunnels("alice", port) as clients:
                got = sum(at_once(drain, clients))
            assert QUOTA <= before + site.books.counted("alice") <= QUOTA + OVERSHOOT
            assert before + got <= QUOTA + OVERSHOOT
            assert site.refused("alice", port)


def test_a_daemon_that_ends_in_good_order_has_booked_everything(tmp_path, url):
    data_dir = tmp_path / "data"
    payload = PAYLOAD[: 5 * MIB]
    with start(data_dir, url) as daemon, tcp_server(lambda connection: connection.sendall(payload)) as port:
        site = Site(daemon, url)
        site.add("alice")
        with site.tunnel("alice", port) as client:
            assert read_all(client) == payload
        assert daemon.stop() == 0
        assert site.books.booked("alice") == len(payload)
    with start(data_dir, url) as daemon:
        assert Site(daemon, url).books.booked("alice") == len(payload)
    assert not list(Path(data_dir).glob("meter.*"))
