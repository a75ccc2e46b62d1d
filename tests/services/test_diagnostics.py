import asyncio
import socket
import threading

import pytest

from tests.support.servers import echo, tcp_server
from vpn.domain.errors import Unavailable
from vpn.services.diagnostics import MOST_AT_ONCE, Diagnostics
from vpn.settings.proxy import ProxySettings

pytestmark = pytest.mark.anyio

OPEN = {"private_destinations": "allow"}


def diagnostics(**settings):
    proxy = ProxySettings(**settings)
    return Diagnostics(lambda: proxy)


async def test_what_answers_is_reached():
    with tcp_server(echo) as port:
        found = await diagnostics(**OPEN).connect(" 127.0.0.1 ", port, 5)
    assert (found.success, found.error) == (True, None)
    assert found.latency_ms > 0


async def test_what_refuses_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = await diagnostics(**OPEN).connect("127.0.0.1", unused.getsockname()[1], 5)
    assert (found.success, found.error) == (False, "connection_refused")


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("127.0.0.1", "loopback_destination"),
        ("::ffff:10.1.2.3", "private_destination"),
        ("169.254.169.254", "link_local_destination"),
        ("inside.test", "loopback_destination"),
        ("both.test", "private_destination"),
        ("localhost", "loopback_destination"),
    ],
)
async def test_what_clients_may_not_reach_is_not_tried(address, error):
    hosts = {"inside.test": ["127.0.0.1"], "both.test": ["8.8.8.8", "10.0.0.1"]}
    with tcp_server(echo) as port:
        found = await diagnostics(dns={"hosts": hosts}).connect(address, port, 5)
    assert (found.success, found.latency_ms, found.error) == (False, None, error)


async def test_nobody_is_reached_at_nowhere():
    assert (await diagnostics(**OPEN).connect("0.0.0.0", 80, 5)).error == "unspecified_destination"


@pytest.mark.parametrize("address", ["no-such-name.invalid", "a" * 70, "a\0b", "\ud800"])
async def test_what_is_no_name_is_told(address):
    assert (await diagnostics(**OPEN).connect(address, 80, 10)).error in ("dns_failure", "timeout")


async def test_a_resolver_that_hangs_is_not_waited_for_and_asked_only_so_often(monkeypatch):
    release = threading.Event()

    def hang(*_arguments, **_options):
        release.wait(10)
        raise OSError(5, "late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    service = diagnostics(**OPEN)
    try:
        attempts = [asyncio.create_task(service.connect("slow.test", 80, 0.01)) for _ in range(MOST_AT_ONCE)]
        assert [(await each).error for each in attempts] == ["timeout"] * MOST_AT_ONCE
        with pytest.raises(Unavailable, match="resolver"):
            await service.connect("slow.test", 80, 0.01)
    finally:
        release.set()


async def test_there_are_only_so_many_at_once():
    service = diagnostics(**OPEN)
    service._running = MOST_AT_ONCE
    with pytest.raises(Unavailable):
        await service.connect("127.0.0.1", 80, 1)
