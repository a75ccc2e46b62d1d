"""What workers and the daemon count, against what clients did: names, limits, passwords, bans."""

import contextlib
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.clients import CONNECT, connect, read_reply, socks5
from tests.support.daemon import running_daemon
from tests.support.dns import name_server
from tests.support.plane import read_exactly
from tests.support.servers import echo, tcp_server
from tests.support.waiting import until

QUOTA = 300_000


class Counted:
    """A daemon, and how much more it has counted than at the beginning."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.token = (daemon.data_dir / "api-token").read_text().strip()
        self.before = {}
        self.before = self.more()

    def more(self):
        request = urllib.request.Request(f"{self.daemon.api}/metrics")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        now = {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}
        return {key: value - self.before.get(key, 0) for key, value in now.items()}

    def become(self, **expected):
        """Wait until so much more has been counted."""
        wanted = {(f"vpn_{name}", *labels): value for name, each in expected.items() for labels, value in each.items()}

        def found():
            more = self.more()
            return {key: more.get(key, 0) for key in wanted}

        with contextlib.suppress(AssertionError):
            until(lambda: found() == wanted)
        assert found() == wanted

    def request(self, user, password="s3cret", host="", port=0):
        """A client, and what it was told: of its password, then of its request."""
        client = connect(self.daemon.port)
        client.sendall(b"\x05\x01\x02\x01" + bytes([len(user)]) + user.encode() + bytes([len(password)]))
        client.sendall(password.encode())
        if read_exactly(client, 4)[3] or not host:
            return client, None
        client.sendall(socks5(CONNECT, host, port))
        return client, read_reply(client)[0]


@pytest.fixture
def names():
    with name_server() as server:
        server.records["echo.test"] = ["127.0.0.1"]
        yield server


def test_workers_count_what_clients_do(data_dir, names):
    servers = f"127.0.0.1:{names.port}"
    settings = {"VPN_PROXY__DNS__SERVERS": servers, "VPN_BANS__TRUSTED": "192.0.2.0/24"}
    with tcp_server(echo) as target, running_daemon(data_dir, **settings) as daemon:
        for name, limit in (("slow", ("--up", "800kbit")), ("small", ("--data-limit", str(QUOTA)))):
            assert daemon.vpn("users", "add", name, "--password", "s3cret", *limit).code == 0
        counted = Counted(daemon)

        for password in ("wrong", "worse"):
            counted.request("slow", password)[0].close()
        client, code = counted.request("slow", host="nowhere.test", port=80)
        client.close()
        assert code
        client, code = counted.request("slow", host="echo.test", port=target)
        assert code == 0
        with client:
            client.sendall(bytes(100_000))
            assert read_exactly(client, 100_000)
        with connect(daemon.port) as stranger:
            stranger.sendall(b"\x16\x03\x01\x02")
            assert stranger.recv(10) == b""

        client, code = counted.request("small", host="127.0.0.1", port=target)
        assert code == 0
        with client, contextlib.suppress(OSError):
            while True:
                client.sendall(bytes(20_000))
                read_exactly(client, 20_000)

        counted.become(
            sessions_rejected_total={("main", "authentication_failed"): 2},
            resolver_queries_total={("answered",): 1, ("failed",): 1},
            resolver_seconds_count={(): 2},
            quota_cuts_total={(): 1},
            quota_events_total={("reached",): 1},
            users_blocked={("over_quota",): 1},
            user_traffic_bytes_total={("sent", "slow"): 100_000, ("received", "slow"): 100_000},
            journal_lost_sessions_total={(): 0},
            writer_lost_sessions_total={(): 0},
        )
        more = counted.more()
        logins = {key[1]: 0 for key in more if key[0] == "vpn_authentications_total"}
        for key, value in more.items():
            if key[0] == "vpn_authentications_total":
                logins[key[1]] += value
        assert logins == {"accepted": 3, "refused": 2}
        assert more["vpn_shaping_waits_total",] > 0
        assert 0.1 < more["vpn_shaping_wait_seconds_total",] < 10, "100 kB at 100 kB/s, but for a burst"
        assert sum(value for key, value in more.items() if key[0] == "vpn_handshake_errors_total") >= 1
        until(lambda: sum(each for key, each in counted.more().items() if key[0] == "vpn_sessions_ended_total") == 6)

        assert daemon.vpn("bans", "add", "127.0.0.1").code == 0
        with connect(daemon.port) as client, contextlib.suppress(ConnectionError):
            assert client.recv(10) == b""
        counted.become(banned_refusals_total={("source",): 1}, bans={("source",): 1})
