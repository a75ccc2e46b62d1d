"""Reading the settings again, with real workers."""

import asyncio
import socket

import pytest

from tests.support.plane import login, read_exactly, snapshot
from tests.support.servers import echo, tcp_server, unused_port
from tests.support.supervised import Daemon, until
from vpn.domain.address import Endpoint
from vpn.domain.egress import Egress
from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.inbound import Inbound
from vpn.services.data_plane import DataPlane
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.services.sockets import amended, bind_all, open_sockets
from vpn.settings.metrics import MetricsSettings
from vpn.settings.model import Settings
from vpn.settings.plane import egress_of, inbounds_of

pytestmark = pytest.mark.anyio


class House:
    """A data plane whose settings the test changes."""

    def __init__(self, tmp_path, snapshots, bans, policy, register):
        self.tmp_path = tmp_path
        self.wanted = {}
        self.bans = bans
        self.policy = policy
        self.register = register
        self.policy_settings = {}
        self.ban_settings = {}
        self.shared = {}
        self.statistics = {}
        self.shaping = Shaping(0, 0)
        self.reread = lambda: Settings(
            data_dir=tmp_path,
            proxy=self.wanted,
            bans=self.ban_settings,
            shaping=self.shared,
            statistics=self.statistics,
            policy=self.policy_settings,
        )
        self.data_plane = None
        self.snapshots = snapshots

    async def start(self, **proxy):
        self.wanted = {"workers": 2, **proxy}
        settings = self.reread()
        self.snapshots.egress = egress_of(settings.proxy)
        told = (self.snapshots, self.bans, self.shaping, self.policy)
        self.data_plane = DataPlane(settings, *told, self.register, self.reread)
        self.daemon = Daemon(2, bind_all(inbounds_of(settings.proxy), 2), settings.proxy.max_connections)
        self.snapshots.publish_to(self.daemon.supervisor.publish)
        rules = await self.policy.start(self.daemon.supervisor.publish_rules)
        await self.daemon.supervisor.start(snapshot(), rules)
        await self.data_plane.load()
        self.data_plane.run(self.daemon.supervisor)

    async def reload(self, **proxy):
        self.wanted = {"workers": 2, **proxy}
        return await self.data_plane.reload()

    def ports(self):
        return {each.name: each.listen.port for each in self.data_plane.inbounds()}

    async def tunnel(self, name, port):
        """In a thread: the loop has passwords to verify meanwhile."""
        return await asyncio.to_thread(tunnel, self.ports()[name], port)


def tunnel(through, port):
    client = socket.create_connection(("127.0.0.1", through), timeout=5)
    try:
        login(client)
        client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
        assert read_exactly(client, 10)[1] == 0
    except BaseException:
        client.close()
        raise
    return client


@pytest.fixture
async def house(tmp_path, bans, policy, register):
    async def arrange():
        return snapshot().users

    house = House(tmp_path, Snapshots(arrange, Egress()), bans, policy, register)
    yield house
    if house.data_plane is not None:
        await house.daemon.supervisor.stop(0)
    await policy.close()


OPEN = {"private_destinations": "allow", "drain_timeout": 0.2}
ANY = {"listen": "127.0.0.1:0"}


async def test_inbounds_come_and_go_and_the_others_sessions_stay(house):
    await house.start(**OPEN, listen="127.0.0.1:0", inbounds={"old": ANY})
    with tcp_server(echo) as port:
        stays, goes = await house.tunnel("main", port), await house.tunnel("old", port)
        before = house.ports()
        done = await house.reload(**OPEN, listen="127.0.0.1:0", inbounds={"new": ANY | {"protocol": "http"}})
        assert (done.added, done.removed, done.changed) == (["new"], ["old"], [])
        assert house.ports()["main"] == before["main"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", before["old"]), timeout=5)
        with socket.create_connection(("127.0.0.1", house.ports()["new"]), timeout=5) as client:
            client.sendall(b"nonsense\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 400"
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(goes.recv, 1)  # after the drain timeout
        stays.sendall(b"still here")
        assert read_exactly(stays, 10) == b"still here"
        stays.close()
        goes.close()


async def test_another_port_and_other_settings_of_an_inbound(house):
    await house.start(**OPEN, listen="127.0.0.1:0", inbounds={"side": ANY})
    with tcp_server(echo) as port:
        stays = await house.tunnel("side", port)
        fixed = unused_port()
        side = ANY | {"open_to": "127.0.0.0/8"}
        done = await house.reload(**OPEN, listen=f"127.0.0.1:{fixed}", inbounds={"side": side})
        assert (done.added, done.removed, done.changed) == ([], [], ["main", "side"])
        assert house.ports()["main"] == fixed
        (await house.tunnel("main", port)).close()
        with socket.create_connection(("127.0.0.1", house.ports()["side"]), timeout=5) as client:
            client.sendall(b"\x05\x01\x00")
            assert read_exactly(client, 2) == b"\x05\x00"
        stays.sendall(b"x")
        assert read_exactly(stays, 1) == b"x"
        stays.close()


async def test_settings_that_are_wrong_change_nothing(house):
    await house.start(**OPEN, listen="127.0.0.1:0")
    before = house.ports()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match="cannot listen on"):
            await house.reload(**OPEN, listen="none", inbounds={"a": ANY, "b": {"listen": f"127.0.0.1:{port}"}})
    missing = {"certificate": str(house.tmp_path / "none.pem"), "key": str(house.tmp_path / "none.pem")}
    with pytest.raises(Invalid, match=r"none\.pem: No such file"):
        await house.reload(**OPEN, listen="none", inbounds={"a": ANY | {"tls": missing}})
    assert house.ports() == before
    with tcp_server(echo) as port:
        (await house.tunnel("main", port)).close()
    reloads = house.data_plane.reloads
    assert (reloads.succeeded, reloads.failed, reloads.in_order) == (0, 2, False)
    await house.reload(**OPEN, listen="127.0.0.1:0")
    assert (reloads.succeeded, reloads.failed, reloads.in_order) == (1, 2, True)


async def test_how_connections_go_out_changes_too(house):
    await house.start(**OPEN, listen="127.0.0.1:0")
    with tcp_server(echo) as port:
        (await house.tunnel("main", port)).close()
        await house.reload(listen="127.0.0.1:0")
        with pytest.raises(AssertionError):
            await house.tunnel("main", port)


async def test_what_waits_for_a_restart_is_named(house):
    await house.start(listen="127.0.0.1:0")
    house.wanted = {"workers": 3, "listen": "127.0.0.1:0"}
    house.statistics = {"hours_kept": 7}
    done = await house.data_plane.reload()
    assert done.restart_needed == ["statistics", "proxy.workers"]
    house.data_plane._reread = lambda: house.reread().model_copy(update={"metrics": MetricsSettings(users=1)})
    assert "metrics" in (await house.data_plane.reload()).restart_needed


async def test_who_is_trusted_and_how_bans_are_made_changes_too(house):
    await house.start(**OPEN, listen="127.0.0.1:0")
    await house.bans.add("192.0.2.1", seconds=60)
    house.ban_settings = {"trusted": ["192.0.2.0/24"], "ban_after": 2}
    done = await house.reload(**OPEN, listen="127.0.0.1:0")
    assert done.restart_needed == []
    assert not house.bans.refuses("192.0.2.1", "alice")
    for _ in range(2):
        house.bans.failed("192.0.2.1", "alice")
        house.bans.failed("198.51.100.1", "alice")
    assert [ban.subject for ban in house.bans.page(page=1, page_size=9)[0]] == ["198.51.100.1", "alice"]


async def test_the_policy_moves_to_where_the_settings_say(house, tmp_path):
    await house.start(**OPEN, listen="127.0.0.1:0")
    house.policy_settings = {"mode": "file", "file": tmp_path / "policy.yaml"}
    with pytest.raises(Unavailable):
        await house.reload(**OPEN, listen="127.0.0.1:0")
    (tmp_path / "policy.yaml").write_text("default: block\n")
    assert (await house.reload(**OPEN, listen="127.0.0.1:0")).restart_needed == []
    assert (await house.policy.standing()).version.policy.default == "block"


async def test_without_a_daemon_there_is_nothing_to_reload(tmp_path, snapshots, bans, policy, register):
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(Unavailable, match="no daemon is running"):
        await DataPlane(settings, snapshots, bans, Shaping(0, 0), policy, register, lambda: settings).reload()


@pytest.mark.parametrize("limit", [{"max_connections": 5}, {"inbounds": {"main": {"max_connections": 5}}}])
async def test_a_limit_holds_over_all_workers(house, limit):
    await house.start(**OPEN, listen="127.0.0.1:0", **limit)
    with tcp_server(echo) as port:
        held = [await house.tunnel("main", port) for _ in range(5)]
        with socket.create_connection(("127.0.0.1", house.ports()["main"]), timeout=5) as client:
            client.sendall(b"\x05\x01\x02")
            with pytest.raises((ConnectionError, AssertionError)):
                read_exactly(client, 2)
        for client in held:
            client.close()
        bound = house.daemon.supervisor.bound[0]
        await until(lambda: house.daemon.supervisor.connections(bound) == 0)
        (await house.tunnel("main", port)).close()


async def test_what_all_users_have_together_may_change(house):
    await house.start()
    told = []
    house.shaping.run(lambda down, up: told.append((down.most, up.most)))
    house.shared = {"down": "8mbit", "up": "80kbit"}
    await house.reload()
    assert told[-1] == (1_000_000, 10_000)


async def test_an_inbound_that_begins_to_speak_shadowsocks_and_has_no_port_for_datagrams():
    mixed, other = (Inbound(name, "mixed", Endpoint("127.0.0.1", 0)) for name in ("main", "other"))
    bound = bind_all([mixed, other], 1)
    phones, more = (
        Inbound(name, "shadowsocks", Endpoint("127.0.0.1", 0), method="aes-256-gcm") for name in ("main", "other")
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", bound[1].inbound.listen.port))
        with pytest.raises(Unavailable, match=r"in use \(UDP\)"):
            open_sockets(bound, [phones, more], 1)
        assert [(each.wanted, each.packets) for each in bound] == [(mixed, None), (other, None)]
    plan, problems = open_sockets(bound, [phones, more], 1)
    assert (amended(plan), problems) == (bound, {})
    assert all(each.packets is not None for each in bound)
    for each in bound:
        each.close()
