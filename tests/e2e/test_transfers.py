"""Many transfers of random sizes, with random pauses, both ways at once. ``make soak`` makes a million of them."""

import asyncio
import base64
import os

import pytest

from tests.support.daemon import running_daemon
from tests.support.transfers import http_connect, socks5, transfer

TRANSFERS = int(os.environ.get("TRANSFERS", "10000"))
EACH_WAY = 50
BASIC = "Basic " + base64.b64encode(b"alice:s3cret").decode()

CONFIG = """
proxy:
  workers: 2
  upstreams:
    first: {{protocol: socks5, address: "127.0.0.1:{0}", user: alice, password: s3cret}}
    second: {{protocol: http, address: "127.0.0.1:{0}", user: alice, password: s3cret, via: first}}
  routes: [{{upstreams: {{second: 1}}}}]
  pool: {{max_idle_per_upstream: 4}}
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("transfers") / "data", VPN_PROXY__WORKERS="2") as running:
        running.add_user("alice")
        yield running


def run(open_tunnel, transfers):
    tunnels = max(1, transfers // (2 * EACH_WAY))
    asyncio.run(transfer(open_tunnel, tunnels=tunnels, each_way=EACH_WAY, at_once=64))


def test_over_socks5(daemon):
    run(socks5(daemon.port, "alice", "s3cret"), TRANSFERS * 6 // 10)


def test_over_http_connect(daemon):
    run(http_connect(daemon.port, BASIC), TRANSFERS * 2 // 10)


def test_through_a_chain_of_upstreams(daemon, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(daemon.port))
    with running_daemon(tmp_path / "data", "--config", str(config)) as chained:
        chained.add_user("alice")
        run(socks5(chained.port, "alice", "s3cret"), TRANSFERS * 2 // 10)
