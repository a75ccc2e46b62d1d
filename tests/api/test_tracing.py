from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from vpn.api import in_process
from vpn.api.tracing import Traced

pytestmark = pytest.mark.anyio


class Recorded:
    """A span, and a tracer that makes it."""

    def __init__(self):
        self.names, self.said, self.failures, self.carrier = [], {}, [], None

    @contextmanager
    def span(self, name, attributes=None, carrier=None):
        self.names.append(name)
        self.said.update(attributes)
        self.carrier = carrier
        try:
            yield self
        except Exception as error:
            self.fail(type(error).__name__)
            raise

    def name(self, name):
        self.names.append(name)

    def set(self, name, value):
        self.said[name] = value

    def fail(self, why):
        self.failures.append(why)


@pytest.fixture
def app():
    app = FastAPI()

    @app.get("/things/{name}")
    async def thing(name: str) -> dict[str, str]:
        if name == "none":
            raise HTTPException(404)
        if name == "away":
            raise HTTPException(503)
        if name == "bad":
            raise RuntimeError("a secret")
        return {"name": name}

    return app


@pytest.mark.parametrize(("name", "status", "failures"), [("x", 200, []), ("none", 404, []), ("away", 503, ["503"])])
async def test_a_request_is_recorded_by_its_route(app, name, status, failures):
    recorded = Recorded()
    assert (await in_process.call(Traced(app, recorded), "GET", f"/things/{name}?token=abc", b""))[0] == status
    assert recorded.names == ["GET", "GET /things/{name}"]
    assert recorded.said == {
        "http.request.method": "GET",
        "url.path": f"/things/{name}",
        "url.scheme": "http",
        "http.response.status_code": status,
        "http.route": "/things/{name}",
    }
    assert recorded.failures == failures
    assert recorded.carrier == {}


async def test_a_defect_is_a_failure_of_a_kind(app):
    recorded = Recorded()
    with pytest.raises(RuntimeError):
        await in_process.call(Traced(app, recorded), "GET", "/things/bad", b"")
    assert recorded.failures[-1] == "RuntimeError"
    assert recorded.names[-1] == "GET /things/{name}"


async def test_what_the_request_is_a_part_of_is_told(app):
    recorded = Recorded()

    async def call(scope, receive, send):
        scope["headers"] = [(b"traceparent", b"00-1-2-01"), (b"cookie", b"secret"), (b"tracestate", b"a=\xff")]
        await Traced(app, recorded)(scope, receive, send)

    await in_process.call(call, "GET", "/nowhere", b"")
    assert recorded.carrier == {"traceparent": "00-1-2-01", "tracestate": "a=\xff"}
    assert recorded.names == ["GET"]
    assert recorded.said["http.response.status_code"] == 404
