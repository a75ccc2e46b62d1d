from datetime import UTC, datetime
from functools import partial

import msgspec
import pytest

from vpn.domain.address import Endpoint
from vpn.domain.errors import Conflict, NotFound
from vpn.domain.inbound import TLS, Inbound
from vpn.domain.shadowsocks import METHODS, client_password
from vpn.links import schemes
from vpn.services.access import AccessService, Reach, address_notice, is_loopback, reach, reachable_host
from vpn.services.groups import GroupService
from vpn.services.user_secrets import UserSecrets
from vpn.settings.server import ServerSettings

pytestmark = pytest.mark.anyio

MAIN = Inbound("main", "mixed", Endpoint("127.0.0.1", 1080))
PHONES = Inbound("phones", "shadowsocks", Endpoint("192.0.2.1", 8388), method="chacha20-ietf-poly1305")
MODERN = Inbound(
    "modern", "shadowsocks", Endpoint("::1", 8389), method="2022-blake3-aes-128-gcm", key="AAAAAAAAAAAAAAAAAAAAAA=="
)
CERTIFIED = TLS(certificate="cert.pem", key="key.pem")


class Place:
    def __init__(self):
        self.served = [MAIN, PHONES, MODERN]
        self.server = ServerSettings()

    def as_served(self):
        return self.served


@pytest.fixture
def place():
    return Place()


@pytest.fixture
def user_secrets(secrets):
    return UserSecrets(secrets)


@pytest.fixture
def access(place, user_secrets, group_store, snapshots):
    return AccessService(place, user_secrets, GroupService(group_store, snapshots, partial(datetime.now, UTC)))


@pytest.fixture
async def alice(users):
    return (await users.add("me@home", "p:w")).user


async def test_every_inbound_has_links_while_the_password_is_known(access, alice, user_secrets):
    found = await access.links(alice, password="p:w")
    secret = await user_secrets.of(alice.number)
    assert [each.inbound for each in found.links] == ["main", "main", "phones", "modern"]
    assert found.uris[:2] == ["socks5h://me%40home:p%3Aw@127.0.0.1:1080", "http://me%40home:p%3Aw@127.0.0.1:1080"]
    phones, modern = (schemes.parse(uri) for uri in found.uris[2:])
    assert (phones.host, phones.port, phones.method, phones.password) == ("192.0.2.1", 8388, PHONES.method, secret)
    assert modern.host == "::1"
    assert modern.password == client_password(METHODS[MODERN.method], MODERN.key, secret)
    assert found.need_password == ()


async def test_later_those_with_a_password_are_named_only(access, alice):
    found = await access.links(alice)
    assert [each.inbound for each in found.links] == ["phones", "modern"]
    assert found.need_password == ("main",)
    with pytest.raises(Conflict, match="holds the password") as refused:
        await access.links(alice, inbound="main")
    assert refused.value.hint.endswith("vpn users passwd me@home")


async def test_one_inbound(access, alice):
    assert [each.inbound for each in (await access.links(alice, inbound="modern")).links] == ["modern"]
    assert len((await access.links(alice, inbound="main", password="p:w")).links) == 2
    with pytest.raises(NotFound, match="no inbound nothing"):
        await access.links(alice, inbound="nothing")


async def test_only_those_that_the_user_may_use(access, users):
    bob = (await users.add("bob", limits={"inbounds": ["phones"]})).user
    assert [each.inbound for each in (await access.links(bob, password="x")).links] == ["phones"]
    with pytest.raises(Conflict, match="bob may not use the inbound modern"):
        await access.links(bob, inbound="modern")


async def test_links_are_named_by_the_server_and_where_there_are_several_by_the_inbound(access, alice, place):
    place.server = ServerSettings(public_host="vpn.example.org")
    assert [each.link.name for each in (await access.links(alice)).links] == [
        "vpn.example.org phones",
        "vpn.example.org modern",
    ]
    assert [each.link.name for each in (await access.links(alice, inbound="phones")).links] == [
        "vpn.example.org phones"
    ], "a client that has it under this name updates it"
    place.server, place.served = ServerSettings(public_host="vpn.example.org", name="Café"), [PHONES]
    assert [each.link.name for each in (await access.links(alice)).links] == ["Café"]


async def test_no_link_leads_to_a_port_that_is_not_known_yet(access, alice, place):
    place.served = [msgspec.structs.replace(PHONES, listen=Endpoint("127.0.0.1", 0))]
    assert (await access.links(alice)).links == ()


@pytest.mark.parametrize(
    ("protocol", "found"), [("mixed", ["https"]), ("http", ["https"]), ("socks", []), ("shadowsocks", ["ss"])]
)
async def test_in_tls(access, alice, place, protocol, found):
    place.served = [msgspec.structs.replace(PHONES, protocol=protocol, tls=CERTIFIED)]
    assert [uri.partition(":")[0] for uri in (await access.links(alice, password="x")).uris] == found


async def test_an_address_that_is_a_guess_is_said_to_be(access, alice, place):
    found = await access.links(alice, inbound="phones")
    assert found.links[0].guessed
    assert found.notice == address_notice("192.0.2.1")
    place.server = ServerSettings(public_host="vpn.example.org")
    found = await access.links(alice, inbound="phones")
    assert not found.links[0].guessed
    assert found.notice == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_only(host):
    assert is_loopback(host)
    assert "this machine only" in address_notice(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "vpn.example.org", "::7f00:1"])
def test_others_too(host):
    assert not is_loopback(host)
    assert "is a guess" in address_notice(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.1", "vpn.example.org"])
def test_an_address_stays(host):
    assert reachable_host(host) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_become_one(host):
    assert reachable_host(host) != host


def test_where_clients_reach_an_inbound():
    inbound = Inbound("main", "mixed", Endpoint("192.0.2.1", 1080))
    assert reach(inbound, ServerSettings()) == Reach("192.0.2.1", 1080, guessed=True)
    server = ServerSettings(public_host="vpn.example.org")
    assert reach(inbound, server) == Reach("vpn.example.org", 1080, guessed=False)
    named = msgspec.structs.replace(inbound, public_host="2001:db8::1", public_port=443)
    assert reach(named, server) == Reach("2001:db8::1", 443, guessed=False)


async def test_an_address_of_one_link_only_is_in_no_link(access, alice, place):
    place.served = [PHONES, msgspec.structs.replace(PHONES, name="near", listen=Endpoint("fe80::1%eth0", 8388))]
    assert [each.inbound for each in (await access.links(alice)).links] == ["phones"]


async def test_an_inbound_whose_port_nobody_knows_yet(access, alice, place):
    place.served = [msgspec.structs.replace(PHONES, listen=Endpoint("192.0.2.1", 0)), MODERN]
    assert [each.inbound for each in (await access.links(alice)).links] == ["modern"]
    with pytest.raises(Conflict, match="nobody knows yet at which port phones will listen"):
        await access.links(alice, inbound="phones")
