import json

import pytest

from vpn.api import in_process

pytestmark = pytest.mark.anyio
LINK = "ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888#Example1"


async def test_links_are_taken_apart(call):
    trojan = "trojan://x@[::1]:443?type=ws&path=%2Fw#n"
    status, parsed = await call("POST", "/api/links/parse", {"links": [f" {LINK}\n", trojan]})
    assert status == 200
    assert parsed["data"][0] == {
        "kind": "shadowsocks",
        "link": LINK,
        "fields": {
            "method": "aes-128-gcm",
            "password": "test",
            "host": "192.168.100.1",
            "port": 8888,
            "name": "Example1",
            "plugin": "",
            "outline": False,
        },
    }
    assert parsed["data"][1]["fields"]["stream"]["path"] == "/w"
    assert parsed["data"][1]["link"] == "trojan://x@[::1]:443?security=tls&type=ws&path=%2Fw#n"


async def test_of_several_it_is_said_which_one_is_wrong(call):
    status, error = await call("POST", "/api/links/parse", {"links": [LINK, "ss://rc4-md5:topsecret@h:1"]})
    assert (status, error["code"]) == (422, "bad_method")
    assert error["message"] == "link 2: 'rc4-md5' is no Shadowsocks method"
    assert "topsecret" not in json.dumps(error)
    _, error = await call("POST", "/api/links/parse", {"links": ["x"]})
    assert error["message"].startswith("this is no link")


@pytest.mark.parametrize("links", [[], ["x"] * 1001, ["x" * 10_001], "x", [None]])
async def test_what_is_no_list_of_links(call, links):
    assert (await call("POST", "/api/links/parse", {"links": links}))[0] == 422


@pytest.mark.parametrize(("picture", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("terminal", "█".encode())])
async def test_a_code_is_drawn(app, picture, start):
    body = json.dumps({"text": LINK, "picture": picture}).encode()
    status, drawn = await in_process.call(app, "POST", "/api/links/qr", body)
    assert status == 200
    assert drawn.startswith(start)


@pytest.mark.parametrize(("text", "code"), [("", "bad_text"), ("x" * 2954, "too_long"), ("x" * 10_001, "bad_request")])
async def test_what_does_not_fit(call, text, code):
    status, error = await call("POST", "/api/links/qr", {"text": text})
    assert (status, error["code"]) == (422, code)
