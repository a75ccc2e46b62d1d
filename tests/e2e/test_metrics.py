"""Metrics of a real daemon with real clients, as a real Prometheus sees them."""

import contextlib
import itertools
import os
import signal
import ssl
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.certificates import Authority
from tests.support.clients import CONNECT, connect, read_reply, socks5, tls
from tests.support.daemon import running_daemon
from tests.support.plane import login, read_exactly
from tests.support.programs import run_program
from tests.support.prometheus import running_prometheus
from tests.support.queries import SERIES, queries
from tests.support.servers import echo, tcp_server, unused_port
from tests.support.waiting import until
from vpn.monitoring.alerts import alerts
from vpn.monitoring.families import FAMILIES

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
POLICY = """\
default: allow
users:
  bob:
    rules:
      - {action: block, destinations: [127.0.0.1]}
"""


VISIT = 5
"""Sessions of one visit: alice's and the one that paris makes of it, carol's, bob's and the one of nobody."""


class Site:
    """A daemon with everything that can be measured, and its clients."""

    def __init__(self, daemon, target, secure):
        self.daemon = daemon
        self.target = target
        self.secure = secure
        self.token = (daemon.data_dir / "api-token").read_text().strip()

    def scrape(self, accept="", token=None):
        request = urllib.request.Request(f"{self.daemon.api}/metrics")
        request.add_header("Authorization", f"Bearer {token or self.token}")
        if accept:
            request.add_header("Accept", accept)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    def families(self):
        return {each.name: each for each in text_string_to_metric_families(self.scrape(OPENMETRICS)[1])}

    def figures(self):
        """All samples, by name and labels."""
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self.families().values()
            for sample in family.samples
        }

    def total(self, name, **labels):
        wanted = set(labels.items())
        return sum(value for (found, *have), value in self.figures().items() if found == name and wanted <= set(have))

    def tunnel(self, user="alice", password="s3cret"):
        """A tunnel; None: there is none."""
        client = connect(self.daemon.port)
        try:
            client.sendall(b"\x05\x01\x02\x01" + bytes([len(user)]) + user.encode() + bytes([len(password)]))
            client.sendall(password.encode())
            if read_exactly(client, 4)[3]:
                client.close()
                return None
            client.sendall(socks5(CONNECT, "127.0.0.1", self.target))
            if read_reply(client)[0]:
                client.close()
                return None
        except BaseException:
            client.close()
            raise
        return client

    def visit(self):
        """One of everything: a tunnel by upstream, by TLS, a rule that blocks, a wrong password."""
        client = self.tunnel()
        with client:
            client.sendall(b"x" * 1000)
            assert read_exactly(client, 1000)
        context = ssl.create_default_context(cafile=str(self.secure.ca))
        with tls(self.secure.port, context) as secure:
            login(secure, "carol", "s3cret")
        assert self.tunnel("bob") is None
        assert self.tunnel("alice", "wrong") is None


class Secure:
    """The inbound in TLS."""

    def __init__(self, port, ca):
        self.port = port
        self.ca = ca


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("metrics")
    authority = Authority(directory)
    files = authority.issue("server")
    plain, secure = unused_port(), unused_port()
    (directory / "policy.yaml").write_text(POLICY)
    config = directory / "config.yaml"
    config.write_text(
        f"""\
proxy:
  workers: 2
  max_connections: 1000
  inbounds:
    plain: {{listen: "127.0.0.1:{plain}", open_to: ["127.0.0.0/8"]}}
    secure: {{listen: "127.0.0.1:{secure}", tls: {{certificate: {files.certificate}, key: {files.key}}}}}
  upstreams:
    paris: {{protocol: socks5, address: "127.0.0.1:{plain}"}}
  routes:
    - {{upstreams: {{paris: 1}}, users: [alice]}}
bans:
  enabled: false
"""
    )
    with (
        tcp_server(echo) as target,
        running_daemon(directory / "data", VPN_CONFIG=str(config)) as daemon,
    ):
        for name in ("alice", "bob", "carol"):
            daemon.add_user(name)
        assert daemon.vpn("users", "add", "dave", "--disabled").code == 0
        assert daemon.vpn("policy", "apply", str(directory / "policy.yaml")).code == 0
        yield Site(daemon, target, Secure(secure, authority.file))


@pytest.fixture(scope="module")
def visited(site):
    site.visit()
    until(lambda: site.total("vpn_sessions_ended_total") == VISIT)
    return site


def test_promtool_has_nothing_to_say(visited):
    media_type, text = visited.scrape()
    assert media_type.startswith("text/plain; version=0.0.4")
    assert run_program("promtool", "check", "metrics", stdin=text) == (0, "", "")


def test_all_metrics_of_the_table_are_there_and_no_other(visited):
    families = visited.families()
    assert [(name, each.type, each.unit) for name, each in families.items()] == [
        (family.base, family.kind, family.unit) for family in FAMILIES
    ]
    labels = {family.base: set(family.labels) for family in FAMILIES}
    for name, family in families.items():
        assert all(set(sample.labels) - {"le"} == labels[name] for sample in family.samples), name
    silent = {family.name for family in FAMILIES if not families[family.base].samples}
    assert silent == set()


def test_what_is_counted_is_what_was_done(visited):
    before = visited.figures()
    visited.visit()

    def more(name, *labels):
        key = (name, *sorted(labels))
        return visited.figures().get(key, 0) - before.get(key, 0)

    main = ("inbound", "main")
    expected = {
        ("vpn_sessions_started_total",): VISIT,
        ("vpn_sessions_rejected_total", main, ("reason", "authentication_failed")): 1,
        ("vpn_sessions_rejected_total", main, ("reason", "blocked_by_rule")): 1,
        ("vpn_user_sessions_total", ("user", "alice")): 1,
        ("vpn_user_sessions_total", ("user", "bob")): 1,
        ("vpn_traffic_bytes_total", main, ("direction", "sent")): 1000,
        ("vpn_traffic_bytes_total", ("inbound", "plain"), ("direction", "received")): 1000,
        ("vpn_user_traffic_bytes_total", ("user", "alice"), ("direction", "received")): 1000,
        ("vpn_destination_traffic_bytes_total", ("destination", "127.0.0.1"), ("direction", "sent")): 2000,
        ("vpn_rule_matches_total", ("decision", "block"), ("rule", "users.bob.rules.0")): 1,
    }
    until(lambda: {key: more(*key) for key in expected} == expected)


def test_live_sessions_are_seen_and_their_bytes_counted_once(visited):
    before = visited.total("vpn_traffic_bytes_total", inbound="main", direction="sent")
    with visited.tunnel() as client:
        client.sendall(b"x" * 5000)
        assert read_exactly(client, 5000)
        until(lambda: visited.total("vpn_traffic_bytes_total", inbound="main", direction="sent") == before + 5000)
        assert visited.total("vpn_sessions_active", inbound="main") == 1
        client.sendall(b"x" * 50)
        assert read_exactly(client, 50)
    until(lambda: not visited.total("vpn_sessions_active"))
    assert visited.total("vpn_traffic_bytes_total", inbound="main", direction="sent") == before + 5050


def test_everything_that_began_is_live_or_has_ended(visited):
    def told():
        figures = visited.figures()
        sums = dict.fromkeys(("vpn_sessions_started_total", "vpn_sessions_ended_total", "vpn_sessions_active"), 0)
        for (name, *_), value in figures.items():
            if name in sums:
                sums[name] += value
        return sums

    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(visited.tunnel())
        until(lambda: told()["vpn_sessions_active"] == 40)  # each is two sessions: alice goes by way of paris
        sums = told()
        assert sums["vpn_sessions_started_total"] == sums["vpn_sessions_ended_total"] + 40
        assert sums["vpn_sessions_active"] == visited.total("vpn_worker_sessions_active")
        assert visited.total("vpn_inbound_connections", inbound="main") == 20


def test_counters_do_not_go_back_when_a_worker_is_killed(visited):
    def counters():
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in visited.families().values()
            if family.type in ("counter", "histogram")
            for sample in family.samples
        }

    seen = [counters()]
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(visited.tunnel())
        until(lambda: visited.total("vpn_sessions_active") == 20)
        seen.append(counters())
        victim, *_ = visited.daemon.workers()
        os.kill(victim, signal.SIGKILL)
        until(lambda: seen.append(counters()) or visited.total("vpn_worker_restarts_total") == 1)
    visited.visit()
    until(lambda: seen.append(counters()) or visited.total("vpn_worker_up") == 2)
    for before, after in itertools.pairwise(seen):
        assert [key for key, value in before.items() if after.get(key, -1) < value] == []
    assert visited.total("vpn_sessions_ended_total", reason="worker_died") > 0


@pytest.fixture(scope="module")
def prometheus(visited, tmp_path_factory):
    """One that has scraped the daemon under load for a while."""
    directory = tmp_path_factory.mktemp("prometheus")
    assert visited.daemon.vpn("monitor", "dashboards", "export", str(directory)).code == 0
    stop = threading.Event()
    problems = []

    def load():
        try:
            while not stop.wait(0.02):
                visited.visit()
        except Exception as error:
            problems.append(error)

    # The setting says port 0: where it really listens is known to the daemon alone.
    config = directory / "prometheus.yml"
    config.write_text(config.read_text().replace("127.0.0.1:0", visited.daemon.api.removeprefix("http://")))
    thread = threading.Thread(target=load)
    thread.start()
    try:
        with running_prometheus(directory) as running, visited.tunnel():
            until(lambda: (running.value('sum_over_time(up{job="vpn"}[1m])') or 0) >= 5)
            yield running
            assert problems == []
    finally:
        stop.set()
        thread.join()


def test_prometheus_takes_what_it_gets(prometheus):
    [target] = prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    known = set(prometheus.get("label/__name__/values"))
    assert {name for name in known if name.startswith("vpn_")} <= set(SERIES)
    counters = [family.name for family in FAMILIES if family.kind == "counter" and family.name in known]
    assert {name: prometheus.value(f"max(resets({name}[1m]))") for name in counters} == dict.fromkeys(counters, 0)


def test_every_query_of_the_dashboards_gives_something(prometheus):
    for place, expression in queries():
        found = prometheus.query(expression.replace("$__rate_interval", "10s").replace("$instance", ".*"))
        if ".json" in place:
            assert found, f"{place} shows nothing: {expression}"


def test_every_alert_is_evaluated_and_none_fires(prometheus):
    [group] = prometheus.get("rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == [alert.name for alert in alerts()]
    until(lambda: all(rule["health"] == "ok" for rule in prometheus.get("rules")["groups"][0]["rules"]))
    # Half of what the load does is refused on purpose, which is what one of them is about.
    firing = {each["metric"]["alertname"] for each in prometheus.query('ALERTS{alertstate="firing"}')}
    assert firing <= {"VpnCertificateExpiresSoon", "VpnUsersOverQuota"}


def test_without_the_token_nothing_is_told(visited):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        visited.scrape(token="wrong")


def test_it_may_be_public_or_not_there_at_all(tmp_path):
    with running_daemon(tmp_path / "a", VPN_METRICS__PUBLIC="true") as daemon:
        with urllib.request.urlopen(f"{daemon.api}/metrics", timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{daemon.api}/api/users", timeout=10)
    with (
        running_daemon(tmp_path / "b", VPN_METRICS__ENABLED="false", VPN_METRICS__PUBLIC="true") as daemon,
        pytest.raises(urllib.error.HTTPError, match="401"),
    ):
        urllib.request.urlopen(f"{daemon.api}/metrics", timeout=10)
