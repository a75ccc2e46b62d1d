"""Inbounds that are managed by commands, with real workers."""

import asyncio
import socket

import pytest

from tests.services.test_data_plane import ANY, OPEN, house  # noqa: F401 -- a fixture
from tests.support.plane import read_exactly
from tests.support.servers import echo, tcp_server, unused_port
from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable
from vpn.domain.shadowsocks import METHODS, check_key
from vpn.services.inbounds import InboundService

pytestmark = pytest.mark.anyio

METHOD = "2022-blake3-aes-128-gcm"


@pytest.fixture
def inbounds(house):  # noqa: F811
    return lambda: InboundService(house.register, house.data_plane)


def named(service):
    return {state.inbound.name: state.inbound for state in service.all()}


async def test_inbounds_come_change_and_go_and_the_others_sessions_stay(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    with tcp_server(echo) as port:
        stays = await house.tunnel("main", port)
        state = await service.add("side", {"protocol": "socks", "listen": "127.0.0.1:0"})
        assert (state.inbound.managed, state.problem) == (True, "")
        tunnel = await house.tunnel("side", port)
        tunnel.close()
        before = house.ports()
        await service.edit("side", {"max_connections": 5})
        assert house.ports() == before, "another port is not needed"
        assert service.get("side").inbound.max_connections == 5
        await service.edit("side", {"max_connections": None})
        assert service.get("side").inbound.max_connections == 0
        another = unused_port()
        await service.edit("side", {"listen": f"127.0.0.1:{another}"})
        assert house.ports()["side"] == another
        (await house.tunnel("side", port)).close()
        await service.remove("side")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", another), timeout=5)
        assert sorted(named(service)) == ["main"]
        stays.sendall(b"still here")
        assert read_exactly(stays, 10) == b"still here"
        stays.close()


async def test_they_are_kept_over_a_restart_with_their_keys(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    await inbounds().add("phones", {"protocol": "shadowsocks", "listen": "127.0.0.1:0", "method": METHOD})
    key = inbounds().get("phones").inbound.key
    assert check_key(METHODS[METHOD], key)
    await house.data_plane.load()
    assert house.data_plane.wanted[1].key == key
    assert house.data_plane.speaks_shadowsocks
    assert (await house.reload(**OPEN, listen="127.0.0.1:0")).changed == []


async def test_a_port_that_is_taken_changes_nothing(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(Unavailable) as refused:
            await service.add("side", {"listen": taken})
        assert "vpn inbounds edit side --listen" in refused.value.hint
        assert sorted(named(service)) == ["main"]
        await service.add("side", ANY)
        with pytest.raises(Unavailable):
            await service.edit("side", {"listen": taken})
        assert service.get("side").inbound.listen.port == house.ports()["side"]
    await house.data_plane.load()
    assert str(house.data_plane.wanted[1].listen) == "127.0.0.1:0", "nothing of it was stored"


async def test_one_that_cannot_be_opened_at_the_start_is_tried_again(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        await house.register.put("side", house_settings(listen=taken))
        await house.reload(**OPEN, listen="127.0.0.1:0")
        assert "in use" in service.get("side").problem
        assert "side" not in house.ports()
    await house.reload(**OPEN, listen="127.0.0.1:0")
    assert service.get("side").problem == ""
    assert "side" in house.ports()


def house_settings(**fields):
    from vpn.settings.proxy import InboundSettings

    return InboundSettings(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"protocol": "shadowsocks", "listen": "127.0.0.1:0", "method": "rc4-md5"}, "no Shadowsocks method"),
        ({"protocol": "socks", "listen": "127.0.0.1:0", "method": METHOD}, "protocol shadowsocks"),
        ({"protocol": "socks"}, "where it is to listen"),
        ({"listen": "here"}, "listen"),
        ({"listen": "127.0.0.1:0", "colour": "red"}, "colour"),
        ({"listen": "127.0.0.1:0", "public_host": "a b"}, "public_host"),
    ],
)
async def test_what_is_wrong_is_said(house, inbounds, fields, said):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    with pytest.raises(Invalid, match=said):
        await inbounds().add("side", fields)
    assert sorted(named(inbounds())) == ["main"]


async def test_names_and_keys(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    with pytest.raises(Conflict):
        await service.add("main", ANY)
    with pytest.raises(Invalid):
        await service.add("Big Name", ANY)
    for call in (service.remove("nobody"), service.edit("nobody", {})):
        with pytest.raises(NotFound):
            await call
    for call in (service.remove("main"), service.edit("main", {})):
        with pytest.raises(Conflict, match="from the settings"):
            await call
    phones = {"protocol": "shadowsocks", "listen": "127.0.0.1:0", "method": METHOD}
    with pytest.raises(Invalid, match="16 bytes"):
        await service.add("phones", phones, key="AAAA")
    assert "phones" not in named(service)
    key = "AAAAAAAAAAAAAAAAAAAAAA=="
    assert (await service.add("phones", phones, key=key)).inbound.key == key
    with pytest.raises(Conflict, match="already"):
        await service.add("tablets", phones, key=key)
    with pytest.raises(Invalid, match="no key"):
        await service.add("old", phones | {"method": "aes-128-gcm"}, key=key)


async def test_a_name_that_the_settings_take_as_well_is_refused(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    await inbounds().add("side", ANY)
    with pytest.raises(Invalid, match="managed one of that name"):
        await house.reload(**OPEN, listen="127.0.0.1:0", inbounds={"side": ANY})


async def test_many_changes_at_once(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    await asyncio.gather(*(service.add(f"side{number}", ANY) for number in range(5)))
    assert len(house.ports()) == 6
    assert sorted(house.ports()) == ["main", *(f"side{number}" for number in range(5))]
