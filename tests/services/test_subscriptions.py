from datetime import UTC, datetime
from functools import partial

import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.links import schemes
from vpn.links.documents.formats import FORMATS
from vpn.services.access import AccessService
from vpn.services.groups import GroupService
from vpn.services.subscriptions import Listening, SubscriptionService, document, make_token, why
from vpn.services.usage import UsageService
from vpn.services.user_secrets import UserSecrets
from vpn.settings.server import ServerSettings
from vpn.settings.subscriptions import SubscriptionSettings
from vpn.store.usage import UsageStore

pytestmark = pytest.mark.anyio


class Place:
    def __init__(self):
        self.server = ServerSettings()
        self.subscriptions = SubscriptionSettings()

    def as_served(self):
        return [Inbound("phones", "shadowsocks", Endpoint("192.0.2.1", 8388), method="aes-256-gcm")]


@pytest.fixture
def place():
    return Place()


@pytest.fixture
def subscriptions(place, secrets, store, database, group_store, enforcement, snapshots):
    groups = GroupService(group_store, snapshots, partial(datetime.now, UTC))
    access = AccessService(place, UserSecrets(secrets), groups)
    usage = UsageService(store, UsageStore(database), enforcement, snapshots)
    return SubscriptionService(secrets, store, access, usage, place, Listening(Endpoint("192.0.2.1", 9090)))


async def test_tokens_are_random_and_long():
    tokens = {make_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {32}
    assert all(token.isalnum() for token in tokens)


async def test_a_user_has_one_and_is_found_by_it(subscriptions, users):
    alice, bob = [(await users.add(name, "x")).user for name in ("alice", "bob")]
    token = await subscriptions.token(alice)
    assert token == await subscriptions.token(alice)
    assert token != await subscriptions.token(bob)
    assert (await subscriptions.find(token)).name == "alice"
    await users.edit("alice", new_name="carol")
    assert (await subscriptions.find(token)).name == "carol"


async def test_it_is_not_in_the_database_in_clear(subscriptions, users, tmp_path):
    token = await subscriptions.token((await users.add("alice", "x")).user)
    assert not any(token.encode() in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


async def test_what_is_no_token_is_not_looked_up(subscriptions, users, monkeypatch, secrets):
    async def never(kind, secret):
        raise AssertionError

    monkeypatch.setattr(secrets, "owner", never)
    for text in ("", "x", "A" * 31 + "\n", "A" * 33, "ä" * 32, "A" * 31 + "/", "A" * 31 + "_"):
        assert await subscriptions.find(text) is None


async def test_a_user_removed_meanwhile_is_nobody(subscriptions, users, store, monkeypatch):
    token = await subscriptions.token((await users.add("alice", "x")).user)
    before = await subscriptions.find(token)

    async def gone(number):
        assert number == before.number

    monkeypatch.setattr(store, "numbered", gone)
    assert await subscriptions.find(token) is None


async def test_another_one_voids_it(subscriptions, users):
    alice = (await users.add("alice", "x")).user
    token = await subscriptions.token(alice)
    other = await subscriptions.revoke(alice)
    assert await subscriptions.find(token) is None
    assert (await subscriptions.find(other)).name == "alice"
    assert await subscriptions.token(alice) == other


@pytest.mark.parametrize(
    ("said", "listen", "base", "notice"),
    [
        (("https://example.org/vpn", "vpn.example.org"), "192.0.2.1", "https://example.org/vpn", ""),
        (("", "vpn.example.org"), "127.0.0.1", "http://vpn.example.org:9090", "is a guess"),
        (("", "2001:db8::1"), "127.0.0.1", "http://[2001:db8::1]:9090", "subscriptions.url"),
        (("", ""), "192.0.2.1", "http://192.0.2.1:9090", "server.public_host, or subscriptions.url"),
        (("", ""), "127.0.0.1", "http://127.0.0.1:9090", "this machine only"),
        (("", ""), "::1", "http://[::1]:9090", "this machine only"),
    ],
)
async def test_what_urls_begin_with(subscriptions, place, said, listen, base, notice):
    place.subscriptions = SubscriptionSettings(url=said[0])
    place.server = ServerSettings(public_host=said[1])
    subscriptions.listens(Endpoint(listen, 9090))
    assert subscriptions.url("TOKEN") == f"{base}/sub/TOKEN"
    assert notice in subscriptions.base.notice
    assert bool(notice) == bool(subscriptions.base.notice)


async def test_in_tls(place):
    secure = SubscriptionService(None, None, None, None, place, Listening(Endpoint("192.0.2.1", 9090), tls=True))
    assert secure.base.url == "https://192.0.2.1:9090"
    secure.listens(Endpoint("192.0.2.2", 9091))
    assert secure.base.url == "https://192.0.2.2:9091"


async def test_outline_fetches_by_https_only(subscriptions, place):
    assert subscriptions.dynamic_key("http://vpn.example.org/sub/x") is None
    place.server = ServerSettings(name="home")
    key = subscriptions.dynamic_key("https://vpn.example.org:8443/vpn/sub/x")
    assert schemes.build(key) == "ssconf://vpn.example.org:8443/vpn/sub/x?format=outline#home"
    assert schemes.build(subscriptions.dynamic_key("https://[2001:db8::1]/sub/x")).startswith("ssconf://[2001:db8::1]/")


@pytest.mark.parametrize(
    ("title", "name", "host", "shown"),
    [("a", "b", "c", "a"), ("", "b", "c", "b"), ("", "", "c", "c"), ("", "", "", "VPN")],
)
async def test_what_clients_call_it(subscriptions, place, title, name, host, shown):
    place.server = ServerSettings(name=name, public_host=host)
    place.subscriptions = SubscriptionSettings(title=title)
    assert subscriptions.title == shown


async def test_a_document_is_of_the_links(subscriptions, users):
    found = await subscriptions.content((await users.add("alice", "x")).user)
    assert document(found, FORMATS["plain"]).splitlines() == found.links.uris
    assert (found.state, found.kept_out, found.profile.announce) == ("active", False, "")


async def test_every_state_has_its_words():
    assert why("active") == ""
    assert why("over_quota") == "Your data volume is used up"
    assert why("something_new") == "You may not connect just now"
