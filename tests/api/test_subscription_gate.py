import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from ruamel.yaml import YAML

from tests.support.asgi import ask
from vpn.api import subscription_gate
from vpn.api.pages.subscription import CSP
from vpn.api.subscription_gate import SubscriptionGate
from vpn.domain.errors import Unavailable
from vpn.links import qr, schemes
from vpn.links.documents.formats import FORMATS
from vpn.settings.model import Settings
from vpn.settings.subscriptions import SubscriptionSettings
from vpn.store.usage import Counted, UsageStore

pytestmark = pytest.mark.anyio

BROWSER = {"user_agent": "Mozilla/5.0 (X11) Firefox/140", "accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SUPPORT = "https://example.org/help?a=b&c=d"


@pytest.fixture
def settings(tmp_path):
    inbounds = {
        "phones": {"protocol": "shadowsocks", "listen": "127.0.0.1:8388"},
        "modern": {"protocol": "shadowsocks", "listen": "127.0.0.1:8389", "method": "2022-blake3-aes-256-gcm"},
    }
    return Settings(
        data_dir=tmp_path / "data",
        server={"public_host": "vpn.example.org", "name": "Café"},
        subscriptions={"support_url": SUPPORT, "update_interval": 6},
        proxy={"inbounds": inbounds},
    )


@pytest.fixture
def change(house, monkeypatch):
    """Change settings of subscriptions."""

    def change(**fields):
        changed = SubscriptionSettings(**fields)
        monkeypatch.setattr(type(house.data_plane), "subscriptions", property(lambda _: changed))

    return change


@pytest.fixture
async def alice(house):
    return (await house.users.add("alice", "x")).user


@pytest.fixture
async def path(house, alice):
    return f"/sub/{await house.subscriptions.token(alice)}"


async def uris(house, user):
    return (await house.access.links(user)).uris


async def move(house, user, up, down):
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    await UsageStore(house.database).book(1, [Counted(user.number, up, down, now.date(), hour)])


# --- what clients get


async def test_a_list_in_base64(app, house, alice, path):
    answer = await ask(app, path, user_agent="v2rayNG/1.10.26")
    assert answer.status == 200
    links = base64.b64decode(answer.body).decode().splitlines()
    assert links == await uris(house, alice)
    assert [schemes.parse(link).name for link in links] == ["Café phones", "Café modern"]


@pytest.mark.parametrize(
    ("agent", "accept", "kind"),
    [
        ("clash-verge/v2.4", "*/*", "text/yaml; charset=utf-8"),
        ("SFA/1.12.0 (Build 1; sing-box 1.12.0)", "*/*", "application/json"),
        ("Outline/1.15", "*/*", "application/json"),
        ("Shadowrocket/2070", "*/*", "text/plain; charset=utf-8"),
        ("curl/8.14", "*/*", "text/plain; charset=utf-8"),
        ("", "", "text/plain; charset=utf-8"),
        (BROWSER["user_agent"], BROWSER["accept"], "text/html; charset=utf-8"),
    ],
)
async def test_each_client_gets_what_it_knows(app, path, agent, accept, kind):
    answer = await ask(app, path, user_agent=agent, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)


async def test_a_format_that_is_named_goes_before_who_asks(app, house, alice, path):
    phones, modern = map(schemes.parse, await uris(house, alice))
    clash = YAML(typ="safe").load((await ask(app, f"{path}?format=clash", **BROWSER)).text)
    assert [each["password"] for each in clash["proxies"]] == [phones.password, modern.password]
    document = json.loads((await ask(app, f"{path}?format=sip008")).body)
    assert [each["method"] for each in document["servers"]] == [phones.method, modern.method]
    outline = json.loads((await ask(app, f"{path}?format=outline")).body)
    assert outline == {
        "server": "vpn.example.org",
        "server_port": 8388,
        "method": phones.method,
        "password": phones.password,
    }
    assert "<html" in (await ask(app, f"{path}?format=html", user_agent="clash")).text


async def test_what_it_says_of_itself(app, house, alice, path):
    await house.users.edit("alice", limits={"data_limit": "50GB", "expires_at": "2100-01-02T03:04:05Z"})
    await move(house, alice, 1000, 3000)
    answer = await ask(app, path, user_agent="clash")
    userinfo = answer.headers["subscription-userinfo"]
    assert userinfo == "upload=1000; download=3000; total=50000000000; expire=4102542245"
    assert answer.headers["profile-update-interval"] == "6"
    assert answer.headers["support-url"] == SUPPORT
    assert base64.b64decode(answer.headers["profile-title"].removeprefix("base64:")).decode() == "Café"
    assert answer.headers["profile-web-page-url"] == f"http://vpn.example.org:9090{path}"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "announce" not in answer.headers


async def test_what_was_forgiven_does_not_count(app, house, alice, path):
    await house.users.edit("alice", limits={"data_limit": "50GB"})
    await move(house, alice, 1000, 3000)
    await house.enforcement.forgive(alice.number)
    await move(house, alice, 1100, 3300)
    await house.enforcement.arrange()
    answer = await ask(app, path, user_agent="clash")
    assert answer.headers["subscription-userinfo"].startswith("upload=100; download=300; ")


async def test_nothing_keeps_it(app, path):
    for asking in ({}, BROWSER):
        answer = await ask(app, path, **asking)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in answer.headers["x-robots-tag"]


async def test_an_unknown_format(app, path):
    answer = await ask(app, f"{path}?format=nothing")
    assert answer.status == 400
    assert "there are: base64" in answer.text


@pytest.mark.parametrize("format", ["wireguard"])
async def test_a_format_with_nothing_in_it(app, path, format):
    assert (await ask(app, f"{path}?format={format}")).status == 400


# --- who may not connect


@pytest.fixture(params=["disabled", "expired", "over quota"])
async def blocked(request, house, alice):
    """Why alice may not connect."""
    if request.param == "disabled":
        await house.users.edit("alice", enabled=False)
    elif request.param == "expired":
        await house.users.edit("alice", limits={"expires_at": "2020-01-01"})
    else:
        await house.users.edit("alice", limits={"data_limit": 1000})
        await move(house, alice, 500, 600)
    await house.enforcement.arrange()
    return {
        "disabled": "Your access is switched off",
        "expired": "Your access has expired",
        "over quota": "Your data volume is used up",
    }[request.param]


async def test_who_may_not_connect_learns_why_and_no_key(app, house, alice, path, blocked):
    secrets = [schemes.parse(uri).password for uri in await uris(house, alice)]
    for name in FORMATS:
        answer = await ask(app, f"{path}?format={name}")
        assert answer.status == (400 if name == "wireguard" else 200)
        assert not any(secret in answer.text for secret in secrets)
    [told] = base64.b64decode((await ask(app, path)).body).decode().splitlines()
    assert schemes.parse(told).name == blocked
    assert schemes.parse(told).host == "127.0.0.1"
    clash = YAML(typ="safe").load((await ask(app, f"{path}?format=clash")).text)
    assert [each["name"] for each in clash["proxies"]] == [blocked]
    error = json.loads((await ask(app, f"{path}?format=outline")).body)["error"]
    assert error == {"message": blocked, "details": SUPPORT}
    assert json.loads((await ask(app, f"{path}?format=sip008")).body)["servers"] == []
    page = (await ask(app, path, **BROWSER)).text
    assert blocked in page
    assert not any(secret in page for secret in secrets)
    assert (await ask(app, path)).headers["announce"] == blocked


async def test_who_may_connect_later_today_keeps_the_servers(app, house, alice, path):
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%a").lower()
    await house.users.edit("alice", limits={"hours": [f"{tomorrow} 10:00-11:00"]})
    await house.enforcement.arrange()
    answer = await ask(app, path)
    assert base64.b64decode(answer.body).decode().splitlines() == await uris(house, alice)
    assert answer.headers["announce"] == "You may not connect at this hour"


async def test_a_user_with_limits_gets_only_those_inbounds(app, house, alice, path):
    await house.users.edit("alice", limits={"inbounds": ["modern"]})
    [link] = base64.b64decode((await ask(app, path)).body).decode().splitlines()
    assert schemes.parse(link).port == 8389


# --- who has no token


WRONG = "A" * 32


@pytest.mark.parametrize(
    "target",
    [
        "/sub/",
        f"/sub/{WRONG}",
        "/sub/x",
        "/sub/../api/users",
        "/sub/%2e%2e/api/users",
        "/sub/{token}/",
        "/sub/{token}x",
        "/sub/{token}/../../api/users",
        "/sub//{token}",
        "/sub/{token}%0a",
        "/sub/%00",
        "/sub/" + "x" * 5000,
    ],
)
async def test_what_is_no_subscription_is_not_found_without_a_word(app, path, target):
    answer = await ask(app, target.replace("/sub/{token}", path))
    assert (answer.status, answer.body) == (404, b"")


async def test_nothing_else_is_reached_with_a_token(app, path):
    token = path.removeprefix("/sub/")
    for target in ("/api/users", "/api/status", "/metrics", f"/api/users?token={token}", "/sub"):
        assert (await ask(app, target, authorization=f"Bearer {token}")).status == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_it_is_only_read(app, path, method):
    answer = await ask(app, path, method)
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET, HEAD", b"")


async def test_another_token_voids_the_one_before(app, house, alice, path):
    token = await house.subscriptions.revoke(alice)
    assert (await ask(app, path)).status == 404
    assert (await ask(app, f"/sub/{token}")).status == 200


async def test_a_user_who_is_gone_has_none(app, house, path):
    await house.users.remove("alice")
    assert (await ask(app, path)).status == 404
    await house.users.add("alice", "x")
    assert (await ask(app, path)).status == 404


async def test_they_can_be_switched_off(app, change, path):
    change(enabled=False)
    assert (await ask(app, path)).status == 404


# --- floods


@pytest.fixture
def gate(house):
    """One that stands before nothing, with a clock that stands still."""
    return SubscriptionGate(None, house.subscriptions, clock=lambda: 1000.0)


async def test_so_many_a_minute_from_one_source(gate, change, path):
    change(rate=3)
    assert [(await ask(gate, path, source="2001:db8::1")).status for _ in range(3)] == [200] * 3
    answer = await ask(gate, path, source="2001:db8::2")
    assert (answer.status, answer.headers["retry-after"], answer.body) == (429, "20", b"")
    assert (await ask(gate, f"/sub/{WRONG}", source="2001:db8::3")).status == 429
    assert (await ask(gate, path, source="2001:db8:0:1::1")).status == 200


async def test_a_crowd_is_drawn_one_page_at_a_time_and_each_code_once(house, path, monkeypatch):
    drawn, at_once = [], []

    def draw(text):
        at_once.append(None)
        drawn.append((text, len(at_once)))
        time.sleep(0.01)  # long enough for another thread, if there is one, to be in here
        at_once.pop()
        return b"picture"

    monkeypatch.setattr(qr, "png", draw)
    gate = SubscriptionGate(None, house.subscriptions)
    answers = await asyncio.gather(*(ask(gate, path, **BROWSER) for _ in range(8)))
    assert [answer.status for answer in answers] == [200] * 8
    assert len({text for text, _ in drawn}) == len(drawn) == 3, "the URL and two servers"
    assert {number for _, number in drawn} == {1}


async def test_so_many_a_minute_in_all(gate, change, path):
    change(total_rate=2)
    assert [(await ask(gate, path, source=f"192.0.2.{each}")).status for each in range(3)] == [200, 200, 429]
    assert (await ask(gate, path, source="192.0.2.0")).status == 200, "who has shown a right URL is no stranger"


@pytest.mark.parametrize(
    ("forwarded", "counted"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7", "198.51.100.7"),
        ("203.0.113.1\n198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("", "10.0.0.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("198.51.100.7:50001, 10.0.0.2:80", "198.51.100.7"),
        ("[2001:db8::7]:50001", "2001:db8::/64"),
        ("[2001:db8::7]", "2001:db8::/64"),
        ("2001:db8::7", "2001:db8::/64"),
    ],
)
async def test_behind_a_web_server_the_client_counts(app, change, path, monkeypatch, forwarded, counted):
    change(trusted_proxies=["10.0.0.0/8"])
    seen = []
    monkeypatch.setattr(
        subscription_gate.RequestRates, "wait", lambda self, source, now, **rates: seen.append(source) or 0
    )
    await ask(app, path, source="10.0.0.1", x_forwarded_for=forwarded)
    await ask(app, path, source="192.0.2.9", x_forwarded_for="198.51.100.7")
    assert seen == [counted, "192.0.2.9"], "who is not trusted is not believed"


# --- where it is


@pytest.mark.parametrize(
    ("fields", "headers", "source", "base"),
    [
        ({}, {}, "192.0.2.1", "http://vpn.example.org:9090"),
        ({}, {"host": "[2001:db8::1]"}, "192.0.2.1", "http://[2001:db8::1]"),
        ({}, {"host": 'x"><script>'}, "192.0.2.1", "http://vpn.example.org:9090"),
        ({}, {"host": "vpn.example.org:65536"}, "192.0.2.1", "http://vpn.example.org:9090"),
        ({}, {"host": "[::zz]"}, "192.0.2.1", "http://vpn.example.org:9090"),
        ({}, {"host": "-.-"}, "192.0.2.1", "http://vpn.example.org:9090"),
        ({}, {"x_forwarded_proto": "https"}, "192.0.2.1", "http://vpn.example.org:9090"),
        (
            {"trusted_proxies": ["192.0.2.1"]},
            {"x_forwarded_proto": "https"},
            "192.0.2.1",
            "https://vpn.example.org:9090",
        ),
        ({"url": "https://example.org/vpn/"}, {}, "192.0.2.1", "https://example.org/vpn"),
    ],
)
async def test_the_page_says_the_url_by_which_it_was_reached(app, change, path, fields, headers, source, base):
    change(**fields)
    answer = await ask(app, path, source=source, **BROWSER | headers)
    assert f'value="{base}{path}"' in answer.text
    assert ("ssconf://" in answer.text) == base.startswith("https://")


# --- the page


async def test_a_browser_gets_the_page_of_this_user(app, house, alice, path):
    await house.users.edit("alice", limits={"data_limit": "4000", "reset": "monthly", "expires_at": "2100-01-02"})
    await move(house, alice, 1000, 2000)
    answer = await ask(app, path, **BROWSER)
    assert answer.headers["content-security-policy"] == CSP
    assert "3.0 kB of 4.0 kB" in answer.text
    assert "<dt>Begins anew</dt>" in answer.text
    assert "<dd>2100-01-02</dd>" in answer.text
    for uri in await uris(house, alice):
        assert f'value="{uri}"' in answer.text


# --- when something is wrong


async def test_a_store_that_is_away(app, house, path, monkeypatch):
    async def away(token):
        raise Unavailable("database_unavailable", "the database is away", "wait")

    monkeypatch.setattr(house.subscriptions, "find", away)
    answer = await ask(app, path)
    assert (answer.status, answer.body) == (503, b"")
    assert answer.headers["retry-after"] == "30"


async def test_a_defect_is_logged_without_the_token(app, house, path, monkeypatch):
    async def defect(user):
        raise RuntimeError("a defect")

    monkeypatch.setattr(house.access, "links", defect)
    with structlog.testing.capture_logs() as lines:
        answer = await ask(app, path)
    assert (answer.status, answer.body) == (500, b"")
    [line] = lines
    assert line["event"] == "defect in a subscription"
    assert path.removeprefix("/sub/") not in str({key: value for key, value in line.items() if key != "exc_info"})
