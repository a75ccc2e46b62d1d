"""No secret is in a log, wherever it came from; nor in what other processes can see of ours."""

import contextlib
import json
import re
import signal
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.clients import connect, http_connect, read_head, tls
from tests.support.collector import running_collector
from tests.support.curl import curl
from tests.support.daemon import running_daemon
from tests.support.postgres import running_postgres
from tests.support.waiting import until

CONFIG = """
proxy:
  listen: 127.0.0.1:0
  workers: 1
  inbounds:
    secure:
      protocol: http
      listen: 127.0.0.1:0
      tls: {{certificate: {certificate}, key: {key}}}
  upstreams:
    parent: {{protocol: http, address: "127.0.0.1:{parent}", user: parent, password: upstream-secret}}
  routes:
    - {{destinations: [upstream.test], upstreams: {{parent: 1}}}}
database:
  url: {database}
log:
  level: debug
  access: {{file: {access}, max_size: 0}}
otel:
  endpoint: {collector}
  headers: authorization=Bearer collector-secret
  sample_ratio: 1
  interval: 0.2
"""

SECRETS = [
    "alice-secret",
    "changed-secret",
    "wrong-secret",
    "refused-secret",
    "url-secret",
    "query-secret",
    "cookie-secret",
    "origin-secret",
    "proxy-secret",
    "upstream-secret",
    "database-secret",
    "collector-secret",
    "token-secret",
]


@pytest.fixture
def world(tmp_path):
    """A daemon that knows many secrets, in a real environment, at level debug."""
    issued = Authority(tmp_path).issue("server")
    with (
        running_postgres() as postgres,
        running_collector() as collector,
        socket.create_server(("127.0.0.1", 0)) as parent,  # takes connections, and never answers
    ):
        database = postgres.new_database().replace("postgres@", "postgres:database-secret@")
        config = tmp_path / "config.yaml"
        written = CONFIG.format(
            certificate=issued.certificate,
            key=issued.key,
            parent=parent.getsockname()[1],
            database=database,
            access=tmp_path / "access.log",
            collector=collector.url,
        )
        config.write_text(written)
        variables = dict.fromkeys(("VPN_PROXY__LISTEN", "VPN_LOG__FORMAT"), "")
        with running_daemon(tmp_path / "data", "--config", str(config), **variables) as daemon:
            daemon.access = tmp_path / "access.log"
            daemon.config = config
            daemon.collector = collector
            yield daemon
            daemon.stop()


def call(daemon, path, method="GET", body=None, token=None):
    token = token or (daemon.data_dir / "api-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{daemon.api}{path}", method=method, data=data, headers=headers)
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
    return None


def read(daemon, path, lines=0):
    token = (daemon.data_dir / "api-token").read_text().strip()
    request = urllib.request.Request(f"{daemon.api}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return (answer.readline() if lines == 1 else answer.read()).decode()


def exported(daemon):
    """The files for Prometheus and Grafana."""
    directory = daemon.data_dir.parent / "monitoring"
    assert daemon.vpn("monitor", "dashboards", "export", str(directory)).code == 0
    return "".join(path.read_text() for path in directory.rglob("*") if path.is_file())


def use_the_api(daemon):
    call(daemon, "/api/users", "POST", {"name": "alice", "password": "alice-secret"})
    call(daemon, "/api/users", "POST", {"name": "bad name", "password": "refused-secret", "strange": 1})
    call(daemon, "/api/users/alice/password", "POST", {"password": "changed-secret"})
    call(daemon, "/api/status?token=query-secret", token="token-secret")


def use_the_proxy(daemon, web):
    proxy = f"http://alice:changed-secret@127.0.0.1:{daemon.port}"
    secure = int(re.search(r"HTTP proxy +127\.0\.0\.1:(\d+) \(TLS\)", daemon.out)[1])
    told = ("-H", "Authorization: Bearer origin-secret", "-H", "Cookie: a=cookie-secret")
    assert curl("-x", proxy, *told, f"http://alice:url-secret@127.0.0.1:{web}/?token=query-secret").code == 0
    assert curl("-x", proxy.replace("http:", "socks5h:"), *told, f"http://127.0.0.1:{web}/").code == 0
    curl("-x", proxy.replace("changed", "wrong"), f"http://127.0.0.1:{web}/")
    assert curl("-x", proxy.replace("http:", "socks5h:").replace("changed", "wrong"), f"http://127.0.0.1:{web}/").code
    curl("-x", proxy, "--max-time", "1", "http://u:url-secret@upstream.test/")
    with connect(daemon.port) as client:  # what is half of a request
        client.sendall(b"GET http://u:url-secret@127.0.0.1/ HTTP/1.1\r\nProxy-Authorization: Basic proxy-secret\r\n")
    with connect(daemon.port) as client:  # and what is none
        client.sendall(b"\x05\x01\x02\x01\x05alice\x0cwrong-secret\xff\xff\xff\xff")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tls(secure, context) as client:
        client.sendall(http_connect(web, fields=b"X-Api-Key: proxy-secret\r\n"))
        read_head(client)


def test_no_secret_is_in_any_log(world, web):
    use_the_api(world)
    use_the_proxy(world, web)
    world.config.write_text(world.config.read_text().replace("interval: 0.2", "interval: x-secret"))
    world.process.send_signal(signal.SIGHUP)
    world.wait_for("the settings were not reloaded", "err")
    until(lambda: world.access.exists() and world.access.read_text().count('"user":"alice"') >= 2)
    until(lambda: world.collector.spans("session socks5") and world.collector.metrics())

    token = (world.data_dir / "api-token").read_text().strip()
    first = re.search(r"me:([^@\s]+)@", world.out)[1]
    known = [*SECRETS, token, first]
    shown = {
        "log": world.err,
        "access log": world.access.read_text(),
        "/api/logs": json.dumps(call(world, "/api/logs?limit=1000")),
        "/api/telemetry/events": json.dumps(call(world, "/api/telemetry/events")),
        "traces": "".join(map(str, world.collector.spans())),
        "metrics that are sent": str(world.collector.metrics()),
        "/metrics": read(world, "/metrics"),
        "/api/events": read(world, "/api/events?topics=sessions,counters", lines=1),
        "/api/sessions/history": read(world, "/api/sessions/history"),
        "dashboards and alerts": exported(world),
    }
    for pid in [world.process.pid, *world.workers()]:
        shown[f"command line of {pid}"] = Path(f"/proc/{pid}/cmdline").read_text()
    for pid in world.workers():
        shown[f"environment of {pid}"] = Path(f"/proc/{pid}/environ").read_text()
    assert [(where, secret) for where, text in shown.items() for secret in known if secret in text] == []
    # They tell something, though.
    assert '"user":"alice"' in shown["access log"]
    assert "authentication failed" in shown["log"]
    assert "authentication failed" in shown["/api/logs"]
    assert "session closed" in shown["log"]
    for where in ("traces", "metrics that are sent", "/metrics", "/api/sessions/history"):
        assert "alice" in shown[where], where
    assert "live" in shown["/api/events"]
    assert "vpn_sessions" in shown["dashboards and alerts"]
