import pytest

from tests.api.test_auth import status_of
from vpn.api.in_process import call

pytestmark = pytest.mark.anyio


async def test_metrics_are_text(app):
    status, text = await call(app, "GET", "/metrics", b"")
    assert status == 200
    assert b"vpn_build_info{" in text


async def test_openmetrics_for_who_asks_for_it(app, token):
    owner = (b"authorization", b"Bearer " + token.encode())
    status, headers = await status_of(app, "/metrics", owner, (b"accept", b"application/openmetrics-text"))
    assert (status, headers[b"content-type"].partition(b";")[0]) == (200, b"application/openmetrics-text")
    status, headers = await status_of(app, "/metrics", owner)
    assert headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
