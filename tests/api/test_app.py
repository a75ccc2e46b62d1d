"""The application as a client sees it: every answer and every error."""

import asyncio
import json
import re

import pytest

from vpn.api import in_process
from vpn.api.app import LARGEST_BODY

pytestmark = pytest.mark.anyio


async def test_a_users_life(call):
    status, access = await call("POST", "/api/users", {"name": "alice", "password": "s3cret", "note": "n"})
    assert status == 201
    assert access["password"] == "s3cret"
    assert access["links"] == ["socks5h://alice:s3cret@127.0.0.1:1080", "http://alice:s3cret@127.0.0.1:1080"]
    assert access["user"].items() >= {"name": "alice", "enabled": True, "note": "n"}.items()

    assert await call("GET", "/api/users/ALICE") == (200, access["user"])
    status, changed = await call("PATCH", "/api/users/alice", {"enabled": False})
    assert (status, changed["enabled"], changed["note"]) == (200, False, "n")
    status, access = await call("POST", "/api/users/alice/password", {})
    assert status == 200
    assert len(access["password"]) == 20
    assert await call("DELETE", "/api/users/alice") == (204, None)
    assert (await call("GET", "/api/users/alice"))[0] == 404


async def test_a_page(call):
    for name in ("carol", "alice", "bob"):
        await call("POST", "/api/users", {"name": name, "password": "x"})
    status, page = await call("GET", "/api/users?page=1&page_size=2")
    assert status == 200
    assert [user["name"] for user in page["data"]] == ["alice", "bob"]
    assert (page["total"], page["page"], page["page_size"], page["total_pages"]) == (3, 1, 2, 2)
    assert (await call("GET", "/api/users?search=AR"))[1]["total"] == 1


async def test_no_answer_holds_a_hash(call):
    await call("POST", "/api/users", {"name": "alice", "password": "s3cret"})
    for target in ("/api/users", "/api/users/alice", "/api/status"):
        _, answer = await call("GET", target)
        assert "argon2" not in json.dumps(answer)
        assert "s3cret" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/api/users/nobody", None, 404, "user_unknown"),
        ("PATCH", "/api/users/nobody", {"note": ""}, 404, "user_unknown"),
        ("DELETE", "/api/users/nobody", None, 404, "user_unknown"),
        ("POST", "/api/users/nobody/password", {}, 404, "user_unknown"),
        ("POST", "/api/users", {"name": "taken"}, 409, "user_exists"),
        ("POST", "/api/users", {"name": "a b"}, 422, "bad_name"),
        ("POST", "/api/users", {"name": "a", "password": ""}, 422, "bad_password"),
        ("POST", "/api/users", {"name": "a", "nmae": "b"}, 422, "bad_request"),
        ("POST", "/api/users", {"name": 5}, 422, "bad_request"),
        ("POST", "/api/users", {"name": "x" * 3000}, 422, "bad_request"),
        ("POST", "/api/users", b"{", 422, "bad_request"),
        ("POST", "/api/users", b"\xff", 400, "bad_request"),
        ("POST", "/api/users", b"x" * (LARGEST_BODY + 1), 413, "too_large"),
        ("GET", "/api/users?page=0", None, 422, "bad_request"),
        ("GET", "/api/users?page_size=1001", None, 422, "bad_request"),
        ("PATCH", "/api/users", {"where": {}, "changes": {"note": ""}}, 422, "no_selection"),
        ("PATCH", "/api/users", {"where": {"names": ["nobody"]}, "changes": {}}, 404, "user_unknown"),
        ("POST", "/api/users", {"name": "a", "limits": {"down": "fast"}}, 422, "bad_limit"),
        ("POST", "/api/users", {"name": "a", "limits": {"down": True}}, 422, "bad_request"),
        ("POST", "/api/users", {"name": "a", "limits": {"speed": 1}}, 422, "bad_request"),
        ("POST", "/api/users", {"name": "a", "groups": ["nothing"]}, 422, "group_unknown"),
        ("GET", "/api/groups/nothing", None, 404, "group_unknown"),
        ("PATCH", "/api/groups/nothing", {}, 404, "group_unknown"),
        ("DELETE", "/api/groups/nothing", None, 404, "group_unknown"),
        ("POST", "/api/groups", {"name": "a b"}, 422, "bad_name"),
        ("POST", "/api/groups", {"name": "a", "shared": {"data_limit": 1}}, 422, "bad_request"),
        ("POST", "/api/roster", {"rows": [{"name": "taken"}]}, 409, "users_exist"),
        ("POST", "/api/roster", {"rows": [{"nmae": "x"}, 5, None]}, 422, "bad_rows"),
        ("POST", "/api/roster", b'{"rows": [{"name": "\\ud800"}]}', 422, "bad_rows"),
        ("POST", "/api/roster", {"rows": 5}, 422, "bad_request"),
        ("POST", "/api/roster", b'{"rows": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "bad_request"),
        ("GET", "/nothing/here", None, 404, "not_found"),
        ("PUT", "/api/users", None, 405, "method_not_allowed"),
    ],
)
async def test_every_error_has_the_one_shape(call, method, target, body, status, code):
    await call("POST", "/api/users", {"name": "taken"})
    answer = await call(method, target, body)
    assert answer[0] == status
    assert set(answer[1]) == {"code", "message", "hint"}
    assert answer[1]["code"] == code
    assert answer[1]["message"]
    assert answer[1]["hint"]


async def test_a_body_that_does_not_come_is_not_waited_for(app, monkeypatch):
    monkeypatch.setattr("vpn.api.bounded_body.BODY_TIMEOUT", 0.05)
    statuses = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": "/api/users", "raw_path": b"/api/users", "query_string": b""}
    scope |= {"headers": [(b"content-type", b"application/json")], "http_version": "1.1", "vpn.local": True}
    await asyncio.wait_for(app(scope, receive, send), 5)
    assert statuses[0] == 408


async def test_strange_characters_are_no_defect(call):
    assert (await call("GET", "/api/users/%00"))[0] == 404
    assert (await call("GET", "/api/users?search=%00"))[1]["total"] == 0
    assert (await call("POST", "/api/users", {"name": "a", "note": "a\0b"}))[1]["code"] == "bad_note"


async def test_a_password_is_not_repeated_in_an_error(call):
    _, answer = await call("POST", "/api/users", {"name": "a", "password": ["topsecret"]})
    assert "topsecret" not in json.dumps(answer)


async def test_health_and_status(call):
    status, health = await call("GET", "/health")
    assert (status, set(health)) == (200, {"status", "version", "uptime_seconds", "parts"})
    assert health["status"] == "degraded", "no data plane runs here"
    status, answer = await call("GET", "/api/status")
    assert status == 200
    assert answer["inbounds"] == (await call("GET", "/api/inbounds"))[1]["data"]


async def test_the_docs_page_loads_nothing_from_elsewhere(app):
    status, page = await in_process.call(app, "GET", "/docs", b"")
    assert status == 200
    assert b"://" not in page
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.decode())
    assert len(sources) >= 2
    for source in sources:
        assert (await in_process.call(app, "GET", source, b""))[0] == 200


@pytest.mark.parametrize("target", ["/swagger-ui", "/swagger-ui/"])
async def test_the_docs_page_is_found_where_it_was(app, target):
    """It needs no token there, either."""
    answers = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        answers.append(message)

    await app({"type": "http", "method": "GET", "path": target, "query_string": b"", "headers": []}, receive, send)
    assert (answers[0]["status"], dict(answers[0]["headers"])[b"location"]) == (307, b"/docs")


async def test_openapi_documents_every_operation(call):
    _, document = await call("GET", "/openapi.json")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (path, method)
            if path.startswith("/api"):
                assert operation["security"], (path, method)
                assert "401" in operation["responses"]
    examples = [name for name, schema in document["components"]["schemas"].items() if "example" in json.dumps(schema)]
    assert {"NewUser", "UserChanges", "UserView", "UserAccess", "Error", "InboundView"} <= set(examples)


async def test_a_bans_life(call):
    status, ban = await call("POST", "/api/bans", {"subject": "2001:db8::5", "duration": "1h", "reason": "spam"})
    assert status == 201
    shown = {"kind": "source", "subject": "2001:db8::/64", "reason": "spam", "failures": 0, "exempt": []}
    assert ban.items() >= shown.items()
    status, page = await call("GET", "/api/bans?page=1&page_size=10")
    assert (status, page["data"], page["total"], page["total_pages"]) == (200, [ban], 1, 1)
    assert await call("DELETE", "/api/bans/2001%3Adb8%3A%3A%2F64") == (204, None)
    assert (await call("DELETE", "/api/bans/2001:db8::5"))[0] == 404
    await call("POST", "/api/bans", {"subject": "192.0.2.1", "kind": "user"})
    assert (await call("DELETE", "/api/bans/192.0.2.1"))[0] == 404
    assert (await call("DELETE", "/api/bans/192.0.2.1?kind=user"))[0] == 204
    await call("POST", "/api/bans", {"subject": "alice"})
    assert await call("DELETE", "/api/bans") == (200, {"lifted": 1})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"subject": "10.0.0.0/8"}, 422, "bad_source"),
        ({"subject": "a b"}, 422, "bad_name"),
        ({"subject": "alice", "duration": "soon"}, 422, "bad_duration"),
        ({"subject": "alice", "duration": "0"}, 422, "bad_duration"),
        ({"subject": "alice", "duration": "4000w"}, 422, "bad_duration"),
        ({"subject": "alice", "reason": "x" * 201}, 422, "bad_reason"),
        ({"subject": "alice", "kind": "group"}, 422, "bad_request"),
        ({"subject": "127.0.0.1"}, 409, "source_trusted"),
    ],
)
async def test_bans_that_cannot_be(call, body, status, code):
    answer = await call("POST", "/api/bans", body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert (await call("GET", "/api/bans"))[1]["total"] == 0
