"""Inbounds through the API, without a data plane: what is to be is known all the same."""

import asyncio

import pytest

pytestmark = pytest.mark.anyio
PHONES = {"name": "phones", "protocol": "shadowsocks", "listen": "192.0.2.1:8388", "method": "2022-blake3-aes-128-gcm"}
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


async def test_an_inbounds_life(call):
    status, added = await call("POST", "/api/inbounds", PHONES | {"key": KEY, "max_connections": 9})
    assert status == 201
    assert added == {
        "name": "phones",
        "protocol": "shadowsocks",
        "method": "2022-blake3-aes-128-gcm",
        "listen": "192.0.2.1:8388",
        "engine": "embedded",
        "tls": False,
        "managed": True,
        "served": False,
        "problem": "",
        "connections": 0,
        "max_connections": 9,
        "public": {"host": "192.0.2.1", "port": 8388, "guessed": True},
        "settings": {
            "protocol": "shadowsocks",
            "method": "2022-blake3-aes-128-gcm",
            "listen": "192.0.2.1:8388",
            "max_connections": 9,
        },
    }
    assert await call("GET", "/api/inbounds/phones") == (200, added)
    main, phones = (await call("GET", "/api/inbounds"))[1]["data"]
    assert (main["name"], main["managed"], main["settings"], phones) == ("main", False, {}, added)
    changes = {"public_host": "vpn.example.org", "public_port": 443, "max_connections": None}
    status, changed = await call("PATCH", "/api/inbounds/phones", changes)
    assert (status, changed["max_connections"]) == (200, 0)
    assert changed["public"] == {"host": "vpn.example.org", "port": 443, "guessed": False}
    assert changed["settings"] == {key: value for key, value in PHONES.items() if key != "name"} | {
        "public_host": "vpn.example.org",
        "public_port": 443,
    }
    assert (await call("DELETE", "/api/inbounds/phones"))[0] == 204
    assert (await call("GET", "/api/inbounds/phones"))[0] == 404


async def test_a_key_is_taken_and_never_shown(call, house):
    _, added = await call("POST", "/api/inbounds", PHONES | {"key": KEY})
    another = "AQAAAAAAAAAAAAAAAAAAAA=="
    status, changed = await call("PATCH", "/api/inbounds/phones", {"key": another})
    assert status == 200
    assert house.data_plane.wanted[1].key == another
    for shown in (
        added,
        changed,
        (await call("GET", "/api/inbounds/phones"))[1],
        (await call("GET", "/api/status"))[1],
    ):
        assert KEY not in str(shown)
        assert another not in str(shown)
    assert (await call("PATCH", "/api/inbounds/phones", {"key": None}))[0] == 200
    assert house.data_plane.wanted[1].key == another


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({}, 422, "bad_inbound", "name is needed"),
        ({"name": 7}, 422, "bad_inbound", "name is no text"),
        ({"name": "Phones"}, 422, "bad_name", "'Phones' is no name for an inbound"),
        ({"name": "side\n"}, 422, "bad_name", "no name for an inbound"),
        ({"name": "side"}, 422, "bad_inbound", "listen is needed"),
        ({"name": "side", "listen": 8388}, 422, "bad_inbound", "listen cannot be '8388'"),
        ({"name": "side", "listen": "[::1]:1", "colour": 1}, 422, "bad_inbound", "there is no setting colour"),
        ({"name": "side", "listen": "[::1]:1", "key": KEY}, 422, "no_key", "no key of its own"),
        (PHONES | {"key": "AAAA"}, 422, "bad_key", "has 16 bytes, this one has 3"),
        (PHONES | {"key": [1]}, 422, "bad_inbound", "key is no text"),
        (PHONES | {"method": "rc4-md5"}, 422, "bad_inbound", "method cannot be 'rc4-md5'"),
        (PHONES | {"tls": {"certificate": "/c.pem"}}, 422, "bad_inbound", "tls.key is needed"),
        (PHONES | {"name": "main"}, 409, "inbound_exists", "an inbound main already"),
        ({"name": "side", "listen": "127.0.0.1:1080"}, 409, "address_taken", "the inbound main listens there"),
        ([PHONES], 422, "bad_request", "valid dictionary"),
    ],
)
async def test_what_cannot_be_added(call, body, status, code, message):
    answered, error = await call("POST", "/api/inbounds", body)
    assert (answered, error["code"]) == (status, code), error
    assert message in error["message"]
    assert error["hint"]
    assert len((await call("GET", "/api/inbounds"))[1]["data"]) == 1


async def test_those_of_the_settings_are_changed_there(call):
    for method, body in (("PATCH", {"max_connections": 3}), ("DELETE", None)):
        status, error = await call(method, "/api/inbounds/main", body)
        assert (status, error["code"]) == (409, "inbound_not_managed")
        assert "vpn reload" in error["hint"]
        assert (await call(method, "/api/inbounds/nobody", body))[0] == 404


async def test_a_key_is_for_one_inbound(call):
    await call("POST", "/api/inbounds", PHONES | {"key": KEY})
    again = PHONES | {"name": "tablets", "listen": "192.0.2.1:8389", "key": KEY}
    status, error = await call("POST", "/api/inbounds", again)
    assert (status, error["code"]) == (409, "secret_in_use")
    assert (await call("GET", "/api/inbounds/tablets"))[0] == 404


async def test_many_at_once_are_all_kept(call):
    bodies = [{"name": f"side{number}", "listen": f"192.0.2.1:{9000 + number}"} for number in range(8)]
    answers = await asyncio.gather(*(call("POST", "/api/inbounds", body) for body in bodies))
    assert [status for status, _ in answers] == [201] * 8
    names = [inbound["name"] for inbound in (await call("GET", "/api/inbounds"))[1]["data"]]
    assert names == ["main", *sorted(body["name"] for body in bodies)]


async def test_the_documentation_has_every_field(call):
    paths = (await call("GET", "/openapi.json"))[1]["paths"]
    new, changes = (
        paths[path][method]["requestBody"]["content"]["application/json"]["schema"]
        for path, method in (("/api/inbounds", "post"), ("/api/inbounds/{name}", "patch"))
    )
    assert set(new["properties"]) - {"name"} == set(changes["properties"])
    assert sorted(new["required"]) == ["listen", "name"]
    assert new["properties"]["listen"]["type"] == "string"
    assert "null" in {kind.get("type") for kind in changes["properties"]["max_connections"]["anyOf"]}
    for name, field in new["properties"].items():
        assert field.get("description"), name
