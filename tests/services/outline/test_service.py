import asyncio
import json
import socket
import ssl
from urllib.parse import urlsplit

import pytest

from vpn.domain.address import Endpoint, parse_endpoint
from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable
from vpn.services.outline.service import Gate, setup_line
from vpn.services.sockets import free_port
from vpn.settings.server import ServerSettings

pytestmark = pytest.mark.anyio


class Door:
    """Where it is served."""

    def __init__(self):
        self.sock = None
        self.opened = asyncio.Event()

    async def open(self, sock, context):
        assert isinstance(context, ssl.SSLContext)
        await self.close()
        self.sock = sock
        self.opened.set()

    async def close(self):
        if self.sock is not None:
            self.sock.close()
        self.sock = None

    @property
    def place(self):
        return Endpoint(*self.sock.getsockname()) if self.sock is not None else None


@pytest.fixture
async def door(outline):
    door = Door()
    await outline.service.run(Gate(door.open, door.close))
    yield door
    await door.close()


async def test_the_line(outline):
    setup = await outline.service.show()
    line = setup_line(setup)
    assert json.loads(line) == {"apiUrl": setup.api_url, "certSha256": setup.cert_sha256}
    assert " " not in line
    assert urlsplit(setup.api_url).path == f"/{await outline.service.find_secret()}"


async def test_what_is_said_of_hosts(outline):
    first = await outline.enable()
    assert any("on other machines cannot reach it" in notice for notice in first.notices)
    assert any("Access keys lead to 127.0.0.1, which is a guess" in notice for notice in first.notices)
    port = free_port("127.0.0.1")
    second = await outline.enable(listen=Endpoint("0.0.0.0", port))
    assert any("is a guess; set server.public_host" in notice for notice in second.notices)
    outline.server_settings = ServerSettings(public_host="vpn.example.org")
    third = await outline.service.show()
    assert urlsplit(third.api_url).netloc == f"vpn.example.org:{port}"
    assert third.notices == []
    assert third.cert_sha256 == first.cert_sha256


async def test_it_is_served_moved_and_closed(outline, door):
    before = await outline.service.show()
    assert str(door.place) == before.listen
    await outline.enable()
    assert str(door.place) == before.listen
    everywhere = Endpoint("0.0.0.0", door.place.port)
    assert (await outline.enable(listen=everywhere)).listen == str(everywhere) == str(door.place)
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Unavailable, match="cannot listen"):
        await outline.enable(listen=Endpoint("127.0.0.1", other.getsockname()[1]))
    assert door.place == everywhere
    with pytest.raises(Unavailable, match="cannot listen"):
        await outline.enable(listen=Endpoint("192.0.2.1", everywhere.port))
    assert door.place == everywhere, "it was closed to make room, and is open again"
    assert (await outline.service.show()).listen == str(everywhere)
    await outline.service.disable()
    assert (door.place, await outline.service.find_secret()) == (None, None)
    with pytest.raises(Conflict):
        await outline.service.disable()
    assert (await outline.enable()).listen == str(everywhere) == str(door.place)


async def test_an_inbound_that_was_added_in_vain_is_removed(outline):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Endpoint("127.0.0.1", other.getsockname()[1])
        with pytest.raises(Unavailable):
            await outline.enable(listen=taken, port=free_port("127.0.0.1"))
    assert [state.inbound.name for state in outline.inbounds.all()] == ["main", "outline"]


async def test_another_path(outline):
    before = await outline.service.find_secret()
    after = (await outline.service.rotate()).api_url.rpartition("/")[2]
    assert after == await outline.service.find_secret() != before
    assert len(after) >= 32


async def test_what_cannot_be(outline):
    with pytest.raises(NotFound):
        await outline.enable(inbound="none")
    with pytest.raises(Invalid):
        await outline.enable(inbound="main")
    with pytest.raises(Invalid):
        await outline.enable(inbound="outline", port=5)
    with pytest.raises(Invalid):
        await outline.enable(method="rc4-md5")


async def test_an_address_that_is_taken_is_tried_again(outline, monkeypatch):
    monkeypatch.setattr("vpn.services.outline.service.RETRY", 0.02)
    door = Door()
    listen = parse_endpoint((await outline.service.show()).listen)
    trying = asyncio.create_task(outline.service.keep_trying())
    with socket.create_server(listen):
        await outline.service.run(Gate(door.open, door.close))
        assert "cannot listen on" in (await outline.service.show()).problem
        assert door.place is None
    await asyncio.wait_for(door.opened.wait(), 5)
    assert door.place == listen
    async with outline.book.order:
        assert (await outline.service.show()).problem == ""
    trying.cancel()
    await door.close()


async def test_it_is_tried_again_where_moving_has_failed_and_the_old_place_is_gone(outline, door, monkeypatch):
    monkeypatch.setattr("vpn.services.outline.service.RETRY", 0.02)
    listen = parse_endpoint((await outline.service.show()).listen)
    taken = []

    async def close():
        await door.close()
        taken.append(socket.create_server(listen))  # somebody was quicker

    outline.service._gate = Gate(door.open, close)
    with pytest.raises(Unavailable):
        await outline.enable(listen=Endpoint("0.0.0.0", listen.port))
    assert "cannot listen on" in (await outline.service.show()).problem
    door.opened.clear()
    trying = asyncio.create_task(outline.service.keep_trying())
    taken.pop().close()
    await asyncio.wait_for(door.opened.wait(), 5)
    assert door.place == listen
    trying.cancel()
