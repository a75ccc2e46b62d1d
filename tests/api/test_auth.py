import pytest

from vpn.api.auth import Guard
from vpn.api.in_process import call as trusted_call

pytestmark = pytest.mark.anyio


async def status_of(app, target, *headers):
    """The status of a request that came over TCP."""
    statuses = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append((message["status"], dict(message["headers"])))

    scope = {
        "type": "http",
        "method": "GET",
        "path": target,
        "raw_path": target.encode(),
        "query_string": b"",
        "headers": list(headers),
        "http_version": "1.1",
        "scheme": "http",
    }
    await app(scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"Bearer wrong",
        b"Bearer ",
        b"Basic TOKEN",
        b"TOKEN",
        b"Bearer TOKENx",
    ],
)
@pytest.mark.parametrize("target", ["/api/users", "/api/status", "/api/users/alice"])
async def test_nobody_gets_in_without_the_token(app, token, header, target):
    told = [(b"x-vpn-local", b"1")]
    if header is not None:
        told.append((b"authorization", header.replace(b"TOKEN", token.encode())))
    status, answer = await status_of(app, target, *told)
    assert status == 401
    assert answer[b"www-authenticate"] == b"Bearer"


async def test_nothing_of_a_stranger_is_read(app):
    """Neither the body nor whether a path exists: 401 comes first."""

    async def receive():
        pytest.fail("the body was read")

    statuses = []

    async def send(message):
        statuses.append(message.get("status"))

    for target in ("/api/users", "/nothing/here"):
        scope = {"type": "http", "method": "POST", "path": target, "query_string": b"", "headers": []}
        await app(scope, receive, send)
    assert statuses[::2] == [401, 401]


async def test_the_token_opens(app, token):
    assert (await status_of(app, "/api/users", (b"authorization", b"Bearer " + token.encode())))[0] == 200


@pytest.mark.parametrize("target", ["/health", "/ready", "/docs", "/openapi.json"])
async def test_what_needs_no_token(app, target):
    expected = 503 if target == "/ready" else 200  # nothing is served here
    assert (await status_of(app, target))[0] == expected


async def test_more_may_be_open(app):
    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    guarded = Guard(inner, "a-token", also_open=frozenset({"/metrics"}))
    assert (await status_of(guarded, "/metrics"))[0] == 200
    assert (await status_of(guarded, "/metrics/x"))[0] == 401
    assert (await status_of(app, "/metrics"))[0] == 401, "it is not, unless somebody says so"


async def test_who_is_trusted_needs_no_token(app):
    assert (await trusted_call(app, "GET", "/api/users", b""))[0] == 200
