import http.server
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from vpn.api import in_process
from vpn.data_directory import DataDirectory
from vpn.house import House, build
from vpn.observation import Observation
from vpn.services.monitoring import Monitoring
from vpn.settings.model import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def observation(settings: Settings) -> Observation:
    return Observation(settings)


@pytest.fixture
async def house(settings: Settings, observation: Observation) -> AsyncIterator[House]:
    """Everything from the store up, without a data plane."""
    with DataDirectory(settings.data_dir) as directory:
        async with build(settings, directory, lambda: settings, observation) as house:
            yield house
            await house.monitoring.health.close()


@pytest.fixture
def app(house: House) -> FastAPI:
    return house.app


@pytest.fixture
def token(house: House, settings: Settings) -> str:
    return (settings.data_dir / "api-token").read_text().strip()


@pytest.fixture
def monitoring(house: House) -> Monitoring:
    return house.monitoring


@pytest.fixture
def call(app):
    async def call(method, target, body=None):
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        status, answer = await in_process.call(app, method, target, raw)
        return status, json.loads(answer) if answer else None

    return call


@pytest.fixture
def server():
    """A server that answers what a test tells it, and keeps what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
            status, content = server.answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.answers = [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
