import json

import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from vpn.api import errors
from vpn.api.in_process import call
from vpn.domain.errors import Conflict, DomainError, Invalid, NotFound, Unavailable

pytestmark = pytest.mark.anyio


def test_every_kind_of_error_has_a_status():
    assert set(errors.STATUS) == set(DomainError.__subclasses__()) == {Invalid, NotFound, Conflict, Unavailable}


async def test_a_defect_is_logged_and_its_words_are_kept_from_the_client():
    app = FastAPI()
    errors.install(app)

    @app.get("/")
    async def fail():
        raise RuntimeError("with inside knowledge")

    with capture_logs() as lines, pytest.raises(RuntimeError):
        await call(app, "GET", "/", b"")
    assert lines[0]["event"] == "defect in a request"

    answers = []

    async def send(message):
        answers.append(message.get("body", b""))

    async def receive():
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    with pytest.raises(RuntimeError):
        await app(scope, receive, send)
    assert json.loads(b"".join(answers))["code"] == "internal"
    assert b"inside knowledge" not in b"".join(answers)
