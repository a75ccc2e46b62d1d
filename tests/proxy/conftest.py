from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.certificates import Authority, Files
from tests.support.plane import Plane, running_plane, snapshot
from tests.support.servers import echo, tcp_server
from tests.support.supervised import Daemon


@pytest.fixture
def plane() -> Iterator[Plane]:
    with running_plane() as running:
        yield running


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who issues the certificates of a module's tests."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def files(issuer: Authority) -> Files:
    """A server's certificate."""
    return issuer.issue("server")


@pytest.fixture
async def daemon(request: pytest.FixtureRequest) -> AsyncIterator[Daemon]:
    daemon = Daemon(getattr(request, "param", 1))
    await daemon.supervisor.start(snapshot())
    yield daemon
    await daemon.supervisor.stop(0)


@pytest.fixture
def echo_port() -> Iterator[int]:
    with tcp_server(echo) as port:
        yield port
