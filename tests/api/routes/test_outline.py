import json

import pytest

from vpn.services.sockets import free_port

pytestmark = pytest.mark.anyio


async def test_it_is_enabled_shown_rotated_and_disabled(call):
    status, error = await call("GET", "/api/outline")
    assert (status, error["code"], error["hint"]) == (409, "outline_disabled", "enable it: vpn outline enable")
    listen = f"127.0.0.1:{free_port('127.0.0.1')}"
    status, view = await call("PUT", "/api/outline", {"listen": listen})
    assert (status, view["listen"], view["method"]) == (200, listen, "chacha20-ietf-poly1305")
    assert json.loads(view["line"]) == {"apiUrl": view["api_url"], "certSha256": view["cert_sha256"]}
    assert view["api_url"].startswith(f"https://{listen}/")
    assert (await call("GET", "/api/outline"))[1]["api_url"] == view["api_url"]
    status, other = await call("POST", "/api/outline/rotate")
    assert (status, other["api_url"] == view["api_url"]) == (200, False)
    assert (await call("DELETE", "/api/outline"))[0] == 204
    assert (await call("DELETE", "/api/outline"))[0] == 409


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"listen": "nowhere"}, 422),
        ({"port": 0}, 422),
        ({"method": "rc4"}, 422),
        ({"inbound": "main"}, 422),
        ({"inbound": "none"}, 404),
        ({"port": 1080}, 409),
        ({"listen": "192.0.2.1:5"}, 503),
        ({"other": 1}, 422),
    ],
)
async def test_what_cannot_be(call, wish, status):
    answered, error = await call("PUT", "/api/outline", wish)
    assert (answered, sorted(error)) == (status, ["code", "hint", "message"])
    assert (await call("GET", "/api/outline"))[0] == 409, "nothing has changed"
