"""What sessions come to: the real daemon, real clients, killed and started again."""

import json
import signal

from tests.support.clients import basic, connect, http_connect, read_head
from tests.support.daemon import running_daemon
from tests.support.servers import after_the_end, tcp_server
from tests.support.waiting import until


def total(daemon):
    return json.loads(daemon.vpn("stats", "--format", "json").out)


def log_in(daemon, port):
    """A tunnel of alice's to this port."""
    client = connect(daemon.port)
    client.sendall(http_connect(port, fields=basic()))
    assert b" 200 " in read_head(client)
    return client


def test_sessions_become_statistics_and_outlive_the_daemon(data_dir):
    with tcp_server(after_the_end) as port:
        with running_daemon(data_dir) as daemon:
            daemon.add_user("alice")
            with log_in(daemon, port) as client:
                client.sendall(b"x" * 1000)
                until(lambda: total(daemon)["total_bytes_sent"] == 1000)
                now = total(daemon)
                assert (now["active_sessions"], now["total_sessions"], now["closed_sessions"]) == (1, 1, 0)
            until(lambda: total(daemon)["closed_sessions"] == 1)
            assert total(daemon)["active_sessions"] == 0
            with log_in(daemon, port) as client:
                client.sendall(b"y" * 10)
            until(lambda: total(daemon)["closed_sessions"] == 2)
            daemon.stop(signal.SIGKILL)
        with running_daemon(data_dir) as daemon:
            stats = total(daemon)
            assert (stats["closed_sessions"], stats["total_bytes_sent"]) == (2, 1010)
            assert stats["top_users"] == [
                {
                    "user": "alice",
                    "session_count": 2,
                    "bytes_sent": 1010,
                    "bytes_received": stats["total_bytes_received"],
                }
            ]
            assert stats["top_destinations"][0]["destination"] == "127.0.0.1"
        assert "alice" in daemon.vpn("stats", "users").out, "without a daemon as well"
