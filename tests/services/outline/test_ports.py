import pytest

from vpn.domain.errors import Conflict, Invalid, Unavailable
from vpn.services.outline.keys import NewKey
from vpn.services.sockets import free_port
from vpn.settings.server import ServerSettings

pytestmark = pytest.mark.anyio


async def test_keys_remember_their_inbounds(outline):
    await outline.users.add("alice")
    old = await outline.keys.add(NewKey())
    port = free_port("127.0.0.1")
    await outline.server.set_port(port)
    new = await outline.keys.add(NewKey())
    [alice, first, second] = await outline.keys.all()
    assert (alice.port, first, second) == (old.port, old, new)
    assert (await outline.server.view()).port == new.port == port
    await outline.inbounds.remove(f"outline-{port}")
    assert {key.port for key in await outline.keys.all()} == {old.port}, "or they would lead nowhere"
    await outline.inbounds.remove("outline")
    with pytest.raises(Unavailable, match="no Shadowsocks inbound"):
        await outline.keys.all()
    assert (await outline.enable()).inbound == "outline"
    assert len(await outline.keys.all()) == 3


async def test_the_place_in_links(outline):
    await outline.server.set_hostname("vpn.example.org")
    key = await outline.keys.add(NewKey())
    assert "@vpn.example.org:" in key.access_url
    assert outline.inbounds.get("outline").inbound.public_host == "vpn.example.org", "and in all other links"
    await outline.inbounds.edit("outline", {"public_host": None, "public_port": 443})
    outline.server_settings = ServerSettings(public_host="2001:db8::1")
    assert "@[2001:db8::1]:443/" in (await outline.keys.get(key.id)).access_url
    assert (await outline.server.view()).port == 443
    other = await outline.keys.add(NewKey(method="aes-128-gcm"))
    assert other.method == "aes-128-gcm"


async def test_a_port_is_one_inbounds_alone(outline):
    await outline.inbounds.add("web", {"protocol": "http", "listen": "127.0.0.1:8080", "public_port": 8081})
    for port in (8080, 8081, 1080):
        with pytest.raises(Conflict, match="is taken: the inbound"):
            await outline.server.set_port(port)
    await outline.inbounds.add(
        "modern", {"protocol": "shadowsocks", "listen": "127.0.0.1:9000", "method": "2022-blake3-aes-128-gcm"}
    )
    with pytest.raises(Conflict, match="speaks 2022-blake3-aes-128-gcm"):
        await outline.keys.add(NewKey(port=9000))
    with pytest.raises(Invalid, match="cannot use"):
        await outline.enable(inbound="modern")


async def test_inbounds_are_not_added_without_end(outline, monkeypatch):
    monkeypatch.setattr("vpn.services.outline.ports._MOST", 2)
    port = free_port("127.0.0.1")
    await outline.server.set_port(port)
    with pytest.raises(Conflict, match="2 Shadowsocks inbounds already"):
        await outline.keys.add(NewKey(method="aes-256-gcm"))
    assert (await outline.keys.add(NewKey(port=port))).port == port


async def test_a_key_leads_to_where_its_user_may_come(outline, groups):
    await outline.inbounds.add("phones", {"protocol": "shadowsocks", "listen": "127.0.0.1:8400"})
    await groups.add("staff", limits={"inbounds": ["main", "phones"]})
    key = await outline.keys.add(NewKey())
    assert key.port != 8400
    await outline.users.edit(f"key-{key.id}", groups=["staff"])
    assert (await outline.keys.get(key.id)).port == 8400
    await groups.edit("staff", limits={"inbounds": ["main"]})
    assert (await outline.keys.get(key.id)).port == key.port, "it leads nowhere, wherever it leads"
