import pytest

from vpn.api import in_process
from vpn.api.outline.secret_path import SecretPath

pytestmark = pytest.mark.anyio


@pytest.fixture
def call():
    known = {"secret": "s3cret"}

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async def find():
        return known["secret"]

    async def call(path):
        return await in_process.call(SecretPath(app, find), "GET", path, b"")

    call.known = known
    return call


@pytest.mark.parametrize(
    ("path", "seen"),
    [("/s3cret", "/"), ("/s3cret/", "/"), ("/s3cret/a", "/a"), ("/s3cret/a/b/", "/a/b"), ("/s3cret/s3cret", "/s3cret")],
)
async def test_what_is_below_it(call, path, seen):
    assert await call(path) == (200, seen.encode())


@pytest.mark.parametrize(
    "path", ["/", "//", "/s3cre", "/s3cret1", "/S3CRET/a", "//s3cret/a", "/a/s3cret", "/%ff/a", "/%ED%A0%80"]
)
async def test_what_is_not(call, path):
    assert await call(path) == (404, b"")


@pytest.mark.parametrize("path", ["/", "/s3cret", "/None", "/a"])
async def test_nobody_passes_where_there_is_none(call, path):
    call.known["secret"] = None
    assert await call(path) == (404, b"")
