import json

import pytest
from fastapi import APIRouter, FastAPI

from vpn.api import in_process
from vpn.api.outline import errors
from vpn.api.outline.any_body import AnyBody

pytestmark = pytest.mark.anyio

PART = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
MULTIPART = "multipart/form-data; boundary=x"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def call():
    router = APIRouter(route_class=AnyBody)

    @router.put("/")
    async def show(body: dict[str, str] | None = None) -> dict[str, str]:
        return body or {}

    app = FastAPI()
    errors.install(app)
    app.include_router(router)

    async def call(content, kind):
        async def with_kind(scope, receive, send):
            headers = [(b"content-type", kind.encode())] if kind is not None else []
            await app({**scope, "headers": headers}, receive, send)

        status, answer = await in_process.call(with_kind, "PUT", "/", content)
        return status, json.loads(answer)

    return call


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        ("", None, {}),
        ("", "application/json", {}),
        ('{"a": "b"}', "application/json", {"a": "b"}),
        ('{"a": "b"}', None, {"a": "b"}),
        (' {"a": "b"}', FORM, {"a": "b"}),
        ("a=b&c=%E2%98%8E+x&d=", FORM, {"a": "b", "c": "☎ x", "d": ""}),
        (PART.format("a", "", "☎\r\nx") + "--x--\r\n", MULTIPART, {"a": "☎\r\nx"}),
        (PART.format("a", '; filename="f"', "1") + PART.format("b", "", "") + "--x--", MULTIPART, {"a": "1", "b": ""}),
    ],
)
async def test_bodies(call, content, kind, expected):
    assert await call(content.encode(), kind) == (200, expected)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"a=b", "application/json"),
        (b"[1]", None),
        (b"{", "application/json"),
        (b"\xff\xfe", FORM),
        (b"&".join(b"a%d=b" % number for number in range(100)), FORM),
        (b"nothing", MULTIPART),
        (b"nothing", "multipart/form-data"),
        (PART.format("a", "", "x").replace("form-data", "attachment").replace("name", "n").encode(), MULTIPART),
        ("".join(PART.format(number, "", "x") for number in range(100)).encode() + b"--x--", MULTIPART),
        (PART.format("a", "", "").encode() + b"\xff\r\n--x--", MULTIPART),
        (PART.format("a", "(" * 60_000, "x").encode() + b"--x--", MULTIPART),
        (PART.format("a", "", "x").encode(), MULTIPART),
        (b"[" * 60_000, "application/json"),
    ],
)
async def test_what_is_no_body(call, content, kind):
    status, answer = await call(content, kind)
    assert (status, sorted(answer)) == (400, ["code", "message"])
