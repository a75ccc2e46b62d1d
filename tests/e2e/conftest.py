from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, running_daemon
from tests.support.servers import web_server


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of a file, with private destinations allowed and a user alice."""
    with running_daemon(tmp_path_factory.mktemp("e2e") / "data") as running:
        running.add_user("alice")
        yield running


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    """A web server on IPv4 loopback."""
    with web_server() as port:
        yield port


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
