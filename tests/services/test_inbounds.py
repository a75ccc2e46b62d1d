"""Inbounds that are managed by commands, with real workers."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from tests.services.test_data_plane import ANY, OPEN, house  # noqa: F401 -- a fixture
from tests.support.certificates import Authority
from tests.support.plane import read_exactly
from tests.support.servers import echo, tcp_server, unused_port
from tests.support.supervised import until
from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable
from vpn.domain.shadowsocks import METHODS, check_key
from vpn.services import data_plane
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
        assert (state.inbound.managed, state.served, state.problem) == (True, True, "")
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
        assert "with --listen HOST:PORT" in refused.value.hint
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
        # Links lead there all the same: clients would forget it, and it will be back.
        assert [str(each.listen) for each in house.data_plane.as_served()][1] == taken
    await house.reload(**OPEN, listen="127.0.0.1:0")
    assert service.get("side").problem == ""
    assert "side" in house.ports()


def shakes_hands(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client, context.wrap_socket(client) as secured:
        return secured.version() is not None


def issue(house):  # noqa: F811
    files = Authority(house.tmp_path).issue("one")
    return {"certificate": str(files.certificate), "key": str(files.key)}


def house_settings(**fields):
    from vpn.settings.proxy import InboundSettings

    return InboundSettings(**fields)


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"protocol": "shadowsocks", "method": "aes-256-gcmm"}, "method cannot be", "did you mean aes-256-gcm?"),
        ({"protocol": "socks", "method": METHOD}, "do not fit together", "protocol shadowsocks"),
        ({"protocol": "ftp"}, "protocol cannot be 'ftp'", "'mixed', 'socks', 'http' or 'shadowsocks'"),
        ({"listen": None}, "listen is needed", "0.0.0.0:8388"),
        ({"listen": "here"}, "listen cannot be 'here'", "127.0.0.1:1080"),
        ({"colour": "red"}, "there is no setting colour", "protocol"),
        ({"listen": "*:8388"}, "listen cannot be '*:8388'", "an IP address or a host name"),
        ({"max_connections": 10**23}, "max_connections cannot be", "1000000000"),
        ({"tls": {"certificate": "/a\0b", "key": "/none.pem"}}, "", ""),
        ({"public_host": "a b"}, "public_host cannot be 'a b'", "host name, without a port"),
        ({"public_host": "0.0.0.0"}, "public_host cannot be '0.0.0.0'", "that clients can reach"),
        ({"public_host": "::"}, "public_host cannot be '::'", "that clients can reach"),
        ({"tls": {"certificate": "/none.pem", "key": "/none.pem"}}, "/none.pem", ""),
    ],
)
async def test_what_is_wrong_is_said(house, inbounds, fields, message, hint):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    with pytest.raises(Invalid) as refused:
        await inbounds().add("side", {"listen": "127.0.0.1:0"} | fields)
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert sorted(named(inbounds())) == ["main"]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "a..b", "nul\0", "\ud800"])
async def test_hosts_that_are_none(house, inbounds, host):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    with pytest.raises((Unavailable, Invalid)):
        await inbounds().add("side", {"listen": f"{host}:8388"})


async def test_an_address_is_for_one_inbound(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen=f"127.0.0.1:{unused_port()}")
    service = inbounds()
    taken = str(service.get("main").inbound.listen)
    with pytest.raises(Conflict, match="the inbound main listens there"):
        await service.add("side", {"listen": taken})
    await service.add("side", ANY)
    with pytest.raises(Conflict, match="the inbound main listens there"):
        await service.edit("side", {"listen": taken})
    side = str(service.get("side").inbound.listen)
    with pytest.raises(Unavailable, match="in use"):
        await house.reload(**OPEN, listen=side)
    assert str(service.get("main").inbound.listen) == taken


async def test_parts_of_tls_are_changed_alone(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    files = issue(house)
    service = inbounds()
    await service.add("side", ANY | {"tls": files})
    await service.edit("side", {"tls": {"minimum_version": "1.3"}})
    assert service.get("side").settings["tls"] == files | {"minimum_version": "1.3"}
    await service.edit("side", {"tls": {"minimum_version": None}})
    assert service.get("side").settings["tls"] == files
    await service.edit("side", {"tls": None})
    assert service.get("side").inbound.tls is None
    await service.edit("side", {"tls": files | {"alpn": "h2, http/1.1"}})
    assert service.get("side").inbound.tls.alpn == ("h2", "http/1.1")


async def test_one_whose_certificate_is_gone_is_no_reason_to_refuse_others(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    files = issue(house)
    service = inbounds()
    await service.add("side", ANY | {"tls": files})
    await house.register.load()
    assert house.register.managed["side"].tls, "what is stored can be read at the next start"
    await asyncio.to_thread(Path(files["certificate"]).unlink)
    await service.add("other", ANY)
    assert await asyncio.to_thread(shakes_hands, house.ports()["side"]), "the certificate was read when it was there"
    await service.edit("other", {"max_connections": 3})
    assert (await house.reload(**OPEN, listen="127.0.0.1:0")).removed == []
    with pytest.raises(Invalid):
        await service.edit("side", {"max_connections": 3})
    await service.remove("side")


async def test_one_that_is_not_served_is_opened_by_itself(house, inbounds, monkeypatch):  # noqa: F811
    monkeypatch.setattr(data_plane, "RETRY", 0.02)
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    trying = asyncio.create_task(house.data_plane.keep_trying())
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        await house.register.put("side", house_settings(listen=taken))
        reloaded = await house.reload(**OPEN, listen="127.0.0.1:0")
        assert reloaded.added == [], "it is not there yet"
        assert not service.in_order
        with pytest.raises(Unavailable, match="in use"):
            await service.edit("side", {"max_connections": 4})
        await service.add("third", ANY)
        assert "in use" in service.get("side").problem
    await until(lambda: service.in_order)
    with tcp_server(echo) as port:
        (await house.tunnel("side", port)).close()
    trying.cancel()


async def test_it_may_be_its_own_port_that_is_in_the_way(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    port = unused_port()
    await service.add("side", {"listen": f"127.0.0.1:{port}"})
    with pytest.raises(Unavailable) as refused:
        await service.edit("side", {"listen": f"0.0.0.0:{port}"})
    assert "remove it and add it again" in refused.value.hint
    assert house.ports()["side"] == port
    await service.edit("side", {"listen": f"127.0.0.2:{port}"})
    assert str(service.get("side").inbound.listen) == f"127.0.0.2:{port}"


async def test_what_is_changed_while_the_daemon_stops_is_for_the_next(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    with tcp_server(echo) as port:
        tunnel = await house.tunnel("main", port)
        await house.data_plane.rest()
        stopping = asyncio.create_task(house.daemon.supervisor.stop(30))
        state = await service.add("side", {"listen": f"127.0.0.1:{unused_port()}"})
        assert not state.served
        with pytest.raises(Unavailable, match="no daemon"):
            await house.reload(**OPEN, listen="127.0.0.1:0")
        tunnel.sendall(b"still here")
        assert read_exactly(tunnel, 10) == b"still here"
        tunnel.close()
        await stopping
    assert list(house.register.managed) == ["side"]


async def test_clients_are_counted(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    await service.add("side", ANY)
    with tcp_server(echo) as port:
        tunnel = await house.tunnel("side", port)
        assert (service.get("side").connections, service.get("main").connections) == (1, 0)
        tunnel.close()
        await until(lambda: service.get("side").connections == 0)


async def test_there_are_so_many_and_no_more(house, inbounds, monkeypatch):  # noqa: F811
    monkeypatch.setattr("vpn.services.inbounds.MOST_INBOUNDS", 2)
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    await service.add("one", ANY)
    await service.add("two", ANY)
    with pytest.raises(Conflict, match="2 managed inbounds already"):
        await service.add("three", ANY)


async def test_a_name_that_the_settings_have_taken_meanwhile_stops_the_start(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    await house.register.put("main", house_settings(listen="127.0.0.1:0"))
    await house.data_plane.load()
    with pytest.raises(Invalid, match="managed one of that name"):
        house.data_plane.complete([])
    await inbounds().remove("main")
    assert named(inbounds())["main"].managed is False


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
    await service.add("side", ANY)
    with pytest.raises(Invalid, match="there is no setting colour"):
        await service.edit("side", {"colour": None})
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


async def test_what_cannot_be_told_to_workers_changes_nothing(house, inbounds, monkeypatch):  # noqa: F811
    async def away():
        raise Unavailable("store_away", "the store is away", "wait")

    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    port = unused_port()
    phones = {"protocol": "shadowsocks", "listen": f"127.0.0.1:{port}", "method": METHOD}
    with monkeypatch.context() as patch:
        patch.setattr(house.snapshots, "publish", away)
        with pytest.raises(Unavailable, match="away"):
            await service.add("phones", phones)
        with pytest.raises(Unavailable, match="away"):
            await house.reload(**OPEN, listen="127.0.0.1:0", inbounds={"phones": phones})
    assert list(house.register.managed) == []
    assert sorted(named(service)) == ["main"]
    assert service.in_order
    assert not house.data_plane.speaks_shadowsocks
    with socket.create_server(("127.0.0.1", port)):
        pass  # it is free
    assert (await service.add("phones", phones)).served
    with monkeypatch.context() as patch:
        patch.setattr(house.snapshots, "publish", away)
        await service.remove("phones")
    assert sorted(named(service)) == ["main"]


async def test_a_key_and_what_goes_with_it_are_kept_together_or_not_at_all(house, inbounds):  # noqa: F811
    await house.start(**OPEN, listen="127.0.0.1:0")
    service = inbounds()
    phones = {"protocol": "shadowsocks", "listen": "127.0.0.1:0", "method": METHOD}
    key, other = "AAAAAAAAAAAAAAAAAAAAAA==", "BBBBBBBBBBBBBBBBBBBBBA=="
    await service.add("phones", phones, key=key)
    await service.add("tablets", phones, key=other)
    with pytest.raises(Conflict, match="already"):
        await service.edit("tablets", {"max_connections": 7}, key=key)
    await house.data_plane.load()
    stored = {inbound.name: (inbound.key, inbound.max_connections) for inbound in house.data_plane.wanted}
    assert stored["tablets"] == (other, 0)
    assert (await service.edit("tablets", {"max_connections": 7}, key="CCCCCCCCCCCCCCCCCCCCCA==")).settings
    await house.data_plane.load()
    stored = {inbound.name: (inbound.key, inbound.max_connections) for inbound in house.data_plane.wanted}
    assert stored["tablets"] == ("CCCCCCCCCCCCCCCCCCCCCA==", 7)
