import pytest

from vpn.links import schemes
from vpn.settings.model import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path):
    inbounds = {
        "phones": {"protocol": "shadowsocks", "listen": "127.0.0.1:8388", "public_host": "vpn.example.org"},
        "modern": {"protocol": "shadowsocks", "listen": "127.0.0.1:8389", "method": "2022-blake3-aes-256-gcm"},
    }
    return Settings(data_dir=tmp_path / "data", proxy={"inbounds": inbounds})


@pytest.fixture
async def added(call):
    return (await call("POST", "/api/users", {"name": "alice", "password": "s3cret"}))[1]


async def test_who_is_added_has_all_links_and_later_those_without_a_password(call, added):
    assert [uri.partition(":")[0] for uri in added["links"]] == ["socks5h", "http", "ss", "ss"]
    assert "this machine only" in added["notice"]
    status, shown = await call("GET", "/api/users/ALICE/links")
    assert status == 200
    assert [each["uri"] for each in shown["links"]] == added["links"][2:]
    assert (shown["user"], shown["need_password"]) == ("alice", ["main"])
    assert {key: value for key, value in shown["links"][0].items() if key != "uri"} == {
        "inbound": "phones",
        "kind": "shadowsocks",
        "host": "vpn.example.org",
        "port": 8388,
        "method": "chacha20-ietf-poly1305",
        "guessed": False,
    }
    assert "document" not in shown


async def test_one_inbound_in_a_format(call, added):
    shown = (await call("GET", "/api/users/alice/links?inbound=phones&format=plain"))[1]
    assert shown["document"] == added["links"][2] + "\n"
    assert "notice" not in shown


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/api/users/bob/links", 404, "user_unknown"),
        ("/api/users/alice/links?inbound=nothing", 404, "inbound_unknown"),
        ("/api/users/alice/links?inbound=main", 409, "password_unknown"),
        ("/api/users/alice/links?format=nothing", 422, "bad_format"),
        ("/api/users/alice/links?format=wireguard", 404, "nothing_to_write"),
        ("/api/users/bob/subscription", 404, "user_unknown"),
    ],
)
async def test_what_there_is_not(call, added, target, status, code):
    answered, error = await call("GET", target)
    assert (answered, error["code"]) == (status, code)


async def test_another_key(call, added):
    before = schemes.parse(added["links"][2])
    status, renewed = await call("POST", "/api/users/alice/links/renew")
    assert status == 200
    after = schemes.parse(renewed["links"][0]["uri"])
    assert after.password != before.password
    assert (await call("GET", "/api/users/alice/links"))[1]["links"] == renewed["links"]
    again = (await call("POST", "/api/users/alice/password", {}))[1]
    assert schemes.parse(again["links"][2]).password == after.password, "a password is something else"
    assert (await call("POST", "/api/users/bob/links/renew"))[0] == 404


async def test_a_subscription(call, added):
    status, shown = await call("GET", "/api/users/alice/subscription")
    assert status == 200
    assert shown["url"].startswith("http://127.0.0.1:9090/sub/")
    assert shown["formats"]["clash"] == f"{shown['url']}?format=clash"
    assert shown["enabled"] is True
    assert "outline" not in shown
    assert "this machine only" in shown["notice"]
    revoked = (await call("POST", "/api/users/alice/subscription/revoke"))[1]
    assert revoked["url"] != shown["url"]
    assert (await call("GET", "/api/users/alice/subscription"))[1] == revoked


class TestWithHTTPS:
    @pytest.fixture
    def settings(self, tmp_path):
        return Settings(data_dir=tmp_path / "data", subscriptions={"url": "https://vpn.example.org"})

    async def test_outline_takes_it(self, call, added):
        shown = (await call("GET", "/api/users/alice/subscription"))[1]
        assert shown["url"].startswith("https://vpn.example.org/sub/")
        assert shown["outline"] == shown["formats"]["outline"].replace("https", "ssconf") + "#VPN"
        assert "notice" not in shown
