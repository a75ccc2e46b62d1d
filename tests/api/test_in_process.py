import pytest

from vpn.api.in_process import call

pytestmark = pytest.mark.anyio


async def test_a_request_arrives_as_over_a_network_and_is_trusted():
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope, body=(await receive())["body"])
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    assert await call(app, "POST", "/api/users/a%2Fb?x=1", b"{}") == (201, b"ab")
    assert (seen["path"], seen["raw_path"], seen["query_string"]) == ("/api/users/a/b", b"/api/users/a%2Fb", b"x=1")
    assert seen["body"] == b"{}"
    assert seen["vpn.local"] is True
