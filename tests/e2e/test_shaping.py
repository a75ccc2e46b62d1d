"""Rates, with real workers and real clients.

What a user moves is compared with what another one moves at a known rate meanwhile: that one is the clock.
"""

import asyncio
import contextlib
import os
import socket
import threading
from math import inf

import pytest

from tests.support.daemon import running_daemon
from tests.support.plane import login, read_exactly
from tests.support.servers import tcp_server
from tests.support.supervised import Daemon
from vpn.domain.egress import Egress
from vpn.domain.shaping import Claim, Plan
from vpn.protocols import datagram
from vpn.proxy.control import Snapshot, SnapshotUser
from vpn.proxy.meter import DOWN, UP

pytestmark = pytest.mark.anyio

MBIT = 125_000
SLOTS = {"clock": 1, "alice": 2, "bob": 3, "carol": 4}
FREE = Plan(inf, {}, [])
TICKS = 2 * MBIT  # bytes that the clock moves while others are watched


class Site:
    """Two workers, and users whose rates the test sets."""

    def __init__(self, daemon, port):
        self.daemon = daemon
        self.port = port
        self._clients = contextlib.ExitStack()

    async def download(self, user, connections=1):
        """From now on the user reads as fast as it goes."""
        for _ in range(connections):
            client = await asyncio.to_thread(self.daemon.tunnel, self.port, user)
            self._clients.callback(client.close)
            self._clients.callback(client.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=read_on, args=(client,), daemon=True).start()

    async def say_datagrams(self, user, sink):
        """From now on the user sends datagrams as fast as it goes."""
        control, sock = await asyncio.to_thread(associate, self.daemon.port, user)
        self._clients.callback(control.close)
        self._clients.callback(sock.close)
        message = datagram.header(*sink.getsockname()) + bytes(1000)

        def send():
            with contextlib.suppress(OSError):
                while True:
                    sock.send(message)

        threading.Thread(target=send, daemon=True).start()

    def follow(self, down=None, up=None, most=inf, group=()):
        claims = [(Claim(most), dict(group))] if group else []
        self.daemon.supervisor.shaper.follow(Plan(inf, down or {}, claims), Plan(inf, up or {}, []))

    def moved(self, user, what=DOWN):
        return self.daemon.supervisor.meter.total(SLOTS[user], what)

    async def watch(self, *users, what=DOWN, ticks=TICKS):
        """What these move while the clock moves so much; it is the same everywhere."""
        before, began = [self.moved(user, what) for user in users], self.moved("clock")
        async with asyncio.timeout(30):
            while self.moved("clock") < began + ticks:  # noqa: ASYNC110 -- it happens in other processes
                await asyncio.sleep(0.01)
        return [self.moved(user, what) - earlier for user, earlier in zip(users, before, strict=True)]

    def close(self):
        self._clients.close()


def read_on(client):
    with contextlib.suppress(OSError):
        while client.recv(1 << 18):
            pass


def pour(connection):
    piece = bytes(1 << 16)
    while True:
        connection.sendall(piece)


def associate(port, user):
    control = socket.create_connection(("127.0.0.1", port), timeout=5)
    login(control, user)
    control.sendall(b"\x05\x03\x00\x01" + bytes(6))
    reply = read_exactly(control, 10)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big")))
    return control, sock


@pytest.fixture
async def site():
    daemon = Daemon(2)
    users = [SnapshotUser(name, 1, slot=slot) for name, slot in SLOTS.items()]
    await daemon.supervisor.start(Snapshot(1, users, Egress(private_destinations=True)))
    with tcp_server(pour) as port:
        site = Site(daemon, port)
        yield site
        site.close()
        await daemon.supervisor.stop(0)
    daemon.supervisor.kill()


def alike(first, second, within=1.25):
    return first < within * second and second < within * first


async def test_a_rate_holds_over_all_connections_and_workers(site):
    site.follow({1: 4 * MBIT, 2: 4 * MBIT, 3: 40 * MBIT})
    await site.download("clock")
    await site.download("alice", 4)
    await site.download("bob", 3)
    await site.watch()
    alice, bob = await site.watch("alice", "bob")
    assert alike(alice, TICKS)
    assert alike(bob, 10 * TICKS)


async def test_another_rate_holds_for_live_sessions(site):
    site.follow({1: 4 * MBIT, 2: 4 * MBIT})
    await site.download("clock")
    await site.download("alice", 2)
    await site.watch()
    (before,) = await site.watch("alice")
    site.follow({1: 4 * MBIT, 2: 32 * MBIT})
    await site.watch(ticks=TICKS // 4)
    (after,) = await site.watch("alice")
    assert alike(8 * before, after)


async def test_datagrams_are_shaped(site):
    site.follow({1: 4 * MBIT}, {2: 4 * MBIT})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        await site.download("clock")
        await site.say_datagrams("alice", sink)
        await site.watch()
        (alice,) = await site.watch("alice", what=UP)
    assert alike(alice, TICKS)


async def test_those_who_share_get_the_same_and_a_guarantee_is_kept_while_others_flood(site):
    group = {2: Claim(), 3: Claim()}
    site.follow({1: 4 * MBIT}, most=16 * MBIT, group=group.items())
    await site.download("clock")
    await site.download("alice")
    await site.download("bob", 4)
    await site.watch()
    alice, bob = await site.watch("alice", "bob")
    assert alike(alice, bob)
    assert alike(alice + bob, 4 * TICKS)
    group = {2: Claim(guaranteed=12 * MBIT), 3: Claim(priority=7), 4: Claim(priority=7)}
    site.follow({1: 4 * MBIT}, most=16 * MBIT, group=group.items())
    await site.download("carol", 4)
    await site.watch()
    alice, bob, carol = await site.watch("alice", "bob", "carol")
    assert alike(alice, 3 * TICKS)
    assert alike(alice + bob + carol, 4 * TICKS)


async def test_what_one_does_not_want_another_has(site):
    group = {2: Claim(), 3: Claim()}
    site.follow({1: 4 * MBIT}, most=16 * MBIT, group=group.items())
    await site.download("clock")
    await site.download("alice")
    await site.watch()
    (alice,) = await site.watch("alice")
    assert alike(alice, 4 * TICKS)


class Reader:
    """A client of the real daemon that reads as fast as it goes, over some connections."""

    def __init__(self, daemon, port, user, connections=1):
        self.got = 0
        self.clients = [tunnel(daemon.port, port, user) for _ in range(connections)]
        for client in self.clients:
            threading.Thread(target=self.read, args=(client,), daemon=True).start()

    def read(self, client):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                self.got += len(data)

    def close(self):
        for client in self.clients:
            client.shutdown(socket.SHUT_RDWR)
            client.close()


def tunnel(through, port, user):
    client = socket.create_connection(("127.0.0.1", through), timeout=10)
    login(client, user)
    client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
    read_exactly(client, 10)
    return client


def watch(clock, *readers, ticks=TICKS):
    """What these get while the clock gets so much."""
    began, before = clock.got, [reader.got for reader in readers]
    tick = threading.Event()
    for _ in range(3000):
        if clock.got >= began + ticks:
            return [reader.got - earlier for reader, earlier in zip(readers, before, strict=True)]
        tick.wait(0.01)
    raise AssertionError("the clock stands still")


def test_by_the_command_line(tmp_path):
    def done(*words):
        result = daemon.vpn(*words)
        assert result.code == 0, result

    with running_daemon(tmp_path / "data", VPN_PROXY__WORKERS="2") as daemon, tcp_server(pour) as port:
        done("groups", "add", "team", "--shared-down", "16mbit")
        done("users", "add", "clock", "--password", "s3cret", "--down", "4mbit")
        done("users", "add", "alice", "--password", "s3cret", "--down", "40mbit")
        for name in ("bob", "carol"):
            done("users", "add", name, "--password", "s3cret", "--group", "team")
        sizes = {"clock": 1, "alice": 4, "bob": 1, "carol": 3}
        readers = {name: Reader(daemon, port, name, count) for name, count in sizes.items()}
        clock, *others = readers.values()
        watch(clock)
        alice, bob, carol = watch(clock, *others)
        assert alike(alice, 10 * TICKS)
        assert alike(bob, carol)
        assert alike(bob + carol, 4 * TICKS)
        done("users", "edit", "alice", "--down", "4mbit")
        done("groups", "edit", "team", "--shared-down", "32mbit")
        watch(clock, ticks=TICKS // 4)
        alice, bob, carol = watch(clock, *others)
        assert alike(alice, TICKS)
        assert alike(bob, carol)
        assert alike(bob + carol, 8 * TICKS)
        for reader in readers.values():
            reader.close()


def test_what_all_have_together_is_read_again(tmp_path):
    config = tmp_path / "config.yaml"
    payload = os.urandom(1 << 20)

    def serve(connection):
        connection.sendall(payload)
        connection.recv(1)

    config.write_text("shaping: {down: 8bit}\n")
    with running_daemon(tmp_path / "data", "--config", str(config)) as daemon, tcp_server(serve) as port:
        daemon.add_user("alice")
        with tunnel(daemon.port, port, "alice") as client:
            got = b""
            client.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while piece := client.recv(65536):
                    got += piece
            assert 0 < len(got) <= 17 * 1024, "the usual burst, and no more"
            config.write_text("shaping: {down: 0}\n")
            assert daemon.vpn("reload").code == 0
            client.settimeout(10)
            while len(got) < len(payload):
                got += client.recv(1 << 20)
        assert got == payload
