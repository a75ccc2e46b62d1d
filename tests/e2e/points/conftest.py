"""One daemon with an inbound of each kind, and one that guards private destinations, for all files here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.certificates import Authority
from tests.support.daemon import Daemon, running_daemon
from tests.support.dns import NameServer, name_server
from tests.support.servers import echo, tcp_server

OPEN = "open_to: ['127.0.0.0/8', '::1/128']"
INBOUNDS = f"""
    main: {{}}
    open: {{listen: '127.0.0.1:0', {OPEN}}}
    open6: {{listen: '[::1]:0', {OPEN}}}
    socks: {{listen: '127.0.0.1:0', protocol: socks, {OPEN}}}
    via: {{listen: '127.0.0.1:0', {OPEN}, via: gate}}
    public: {{listen: '127.0.0.1:0', {OPEN}, udp_address: 198.51.100.7}}
    short:
      listen: 127.0.0.1:0
      {OPEN}
      handshake_timeout: 0.5
      connect_timeout: 0.5
      request_timeout: 0.5
      bind_timeout: 0.5
      idle_timeout: 1
    balanced:
      listen: 127.0.0.1:0
      trusted_proxies: [127.0.0.2/32]
      open_to: [203.0.113.0/24, '2001:db8::/32']
"""
SECURE = """
    tls: {{listen: '127.0.0.1:0', {OPEN}, tls: {{{FILES}}}}}
    tls13: {{listen: '127.0.0.1:0', {OPEN}, tls: {{{FILES}, minimum_version: '1.3', alpn: [http/1.1]}}}}
    optional:
      listen: 127.0.0.1:0
      tls: {{{FILES}, client_certificates: optional, client_ca: {CA}, certificate_names_user: true}}
    required:
      listen: 127.0.0.1:0
      tls: {{{FILES}, client_certificates: required, client_ca: {CA}, certificate_names_user: true}}
    unnamed:
      listen: 127.0.0.1:0
      tls: {{{FILES}, client_certificates: required, client_ca: {CA}}}
    balanced_tls: {{listen: '127.0.0.1:0', {OPEN}, trusted_proxies: [127.0.0.2/32], tls: {{{FILES}}}}}
"""


class Server(NamedTuple):
    """A daemon and where its inbounds are."""

    daemon: Daemon
    ports: dict[str, int]

    @property
    def open(self) -> int:
        """The port of the inbound that asks nobody for credentials."""
        return self.ports["open"]

    def totals(self) -> dict[str, int]:
        """What `vpn status` counts."""
        return json.loads(self.daemon.vpn("status", "--format", "json").out)


def serve(daemon: Daemon) -> Server:
    daemon.add_user("alice")
    told = json.loads(daemon.vpn("status", "--format", "json").out)
    ports = {each["name"]: int(each["listen"].rpartition(":")[2]) for each in told["inbounds"]}
    return Server(daemon, ports)


@pytest.fixture(scope="session")
def dns() -> Iterator[NameServer]:
    """The name server of all these daemons; tests use names of their own."""
    with name_server() as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who issued the server's certificate, and may issue clients'."""
    return Authority(tmp_path_factory.mktemp("certificates"))


def configured(directory: Path, text: str) -> dict[str, str]:
    """A configuration file, and the variable that names it."""
    config = directory / "config.yaml"
    config.write_text(text)
    return {"VPN_CONFIG": str(config)}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, dns: NameServer, authority: Authority) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("points")
    files = authority.issue("server")
    secure = SECURE.format(OPEN=OPEN, FILES=f"certificate: {files.certificate}, key: {files.key}", CA=authority.file)
    text = f"""
proxy:
  workers: 2
  dns: {{servers: ['127.0.0.1:{dns.port}']}}
  upstreams: {{nowhere: {{address: '127.0.0.1:1'}}}}
  routes:
    - {{destinations: [127.0.0.9, '*.upstream.test'], upstreams: {{nowhere: 1}}}}
  inbounds:{INBOUNDS}{secure}
"""
    with running_daemon(directory / "data", **configured(directory, text)) as daemon:
        yield serve(daemon)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory, dns: NameServer) -> Iterator[Server]:
    """One that lets nobody reach private destinations, which is what it does unless it is told otherwise."""
    directory = tmp_path_factory.mktemp("guarded")
    text = f"""
proxy:
  workers: 1
  dns: {{servers: ['127.0.0.1:{dns.port}']}}
  inbounds: {{open: {{listen: '127.0.0.1:0', {OPEN}}}}}
"""
    variables = {"VPN_PROXY__PRIVATE_DESTINATIONS": "refuse"} | configured(directory, text)
    with running_daemon(directory / "data", **variables) as daemon:
        yield serve(daemon)


@pytest.fixture(scope="session")
def echo_port() -> Iterator[int]:
    with tcp_server(echo) as port:
        yield port
