"""Brute force against a real daemon with two workers."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import CONNECT, connect, read_reply, socks5
from tests.support.daemon import Daemon, running_daemon
from tests.support.plane import read_exactly
from tests.support.servers import echo, tcp_server
from tests.support.storm import storm
from tests.support.waiting import until

BALANCER = "127.0.0.2"
CONFIG = f"""
proxy:
  workers: 2
  inbounds:
    balanced: {{{{listen: '127.0.0.1:0', trusted_proxies: [{BALANCER}/32]}}}}
bans: {{{{trusted: [{{trusted}}], slow_after: 3, ban_after: 6, ban_time: 600}}}}
"""
REFUSED = b"\x05\x02\x01\x01"


def configure(data_dir: Path, trusted: str = "127.9.0.0/16") -> str:
    """Write the configuration; returns where it is."""
    path = data_dir.with_suffix(".yaml")
    path.write_text(CONFIG.format(trusted=trusted))
    return str(path)


@pytest.fixture
def running(data_dir: Path) -> Iterator[Daemon]:
    with running_daemon(data_dir, VPN_CONFIG=configure(data_dir)) as daemon:
        daemon.add_user("alice")
        daemon.add_user("bob")
        yield daemon


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    with tcp_server(echo) as port:
        yield port


def answer(port: int, source: str, password: str, user: str = "alice", before: bytes = b"") -> bytes:
    """What a client hears who says all it has to say at once; empty: the connection is closed."""
    with connect(port, source) as client:
        said = b"\x05\x01\x02\x01" + bytes([len(user)]) + user.encode() + bytes([len(password)]) + password.encode()
        try:
            client.sendall(before + said)
            return read_exactly(client, 4)
        except (AssertionError, ConnectionResetError, BrokenPipeError):
            return b""


def served(port: int, source: str, user: str = "alice", before: bytes = b"") -> bool:
    return answer(port, source, "s3cret", user, before) == b"\x05\x02\x01\x00"


def bans(daemon: Daemon) -> dict[tuple[str, str], dict[str, object]]:
    return {(ban["kind"], ban["subject"]): ban for ban in json.loads(daemon.vpn("bans", "list", "--format=json").out)}


def fail_until_banned(daemon: Daemon, source: str, user: str = "alice", before: bytes = b"", port: int = 0) -> None:
    """Guess until the door is closed."""
    numbers = itertools.count()

    def closed() -> bool:
        heard = answer(port or daemon.port, source, f"wrong{next(numbers)}", user, before)
        assert heard in (REFUSED, b"")
        return not heard

    until(closed)


def balanced(daemon: Daemon) -> int:
    inbounds = json.loads(daemon.vpn("status", "--format", "json").out)["inbounds"]
    return next(int(each["listen"].rpartition(":")[2]) for each in inbounds if each["name"] == "balanced")


def both_workers(check: Callable[[], bool], times: int = 20) -> None:
    """The kernel deals connections out to the workers by their ports: twenty meet both."""
    assert [check() for _ in range(times)] == [True] * times


def test_a_source_that_fails_is_banned_in_all_workers_and_lifted_at_once(running):
    """Names differ, so it is the source that is meant."""
    source = "127.0.5.1"
    for count in range(6):
        assert answer(running.port, source, "wrong", f"name{count}") == REFUSED
    until(lambda: ("source", source) in bans(running))
    until(lambda: answer(running.port, source, "s3cret") == b"")
    both_workers(lambda: answer(running.port, source, "s3cret") == b"")
    assert served(running.port, "127.0.5.2"), "others are served"
    (ban,) = bans(running).values()
    assert (ban["reason"], ban["failures"]) == ("brute_force", 6)
    running.wait_for(f'"source": "{source}".*"event": "banned"', "err")
    result = running.vpn("bans", "remove", source)
    assert result.code == 0, result
    both_workers(lambda: served(running.port, source))
    assert bans(running) == {}


def test_a_remembered_wrong_password_counts_as_well(running):
    source = "127.0.5.3"
    until(lambda: answer(running.port, source, "the same", "bob") == b"")
    assert ("source", source) in bans(running)


def test_a_ban_outlives_the_daemon_and_a_kill(data_dir):
    config = configure(data_dir)
    with running_daemon(data_dir, VPN_CONFIG=config) as daemon:
        daemon.add_user("alice")
        fail_until_banned(daemon, "127.0.5.4")
        until(lambda: len(bans(daemon)) == 2)
        assert daemon.vpn("bans", "add", "127.0.5.5", "--for", "1h").code == 0
        assert answer(daemon.port, "127.0.5.5", "s3cret") == b""
        daemon.stop(signal.SIGKILL)
    with running_daemon(data_dir, VPN_CONFIG=config) as daemon:
        assert set(bans(daemon)) == {("source", "127.0.5.4"), ("user", "alice"), ("source", "127.0.5.5")}
        both_workers(lambda: answer(daemon.port, "127.0.5.4", "s3cret") == b"")
        assert answer(daemon.port, "127.0.5.6", "s3cret") == REFUSED, "the name is banned"
        assert daemon.vpn("bans", "remove", "--all").code == 0
        both_workers(lambda: served(daemon.port, "127.0.5.4"))


def test_a_worker_that_is_started_again_turns_away_too(running):
    assert running.vpn("bans", "add", "127.0.5.7", "--for", "1h").code == 0
    before = running.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(running.workers()) == 2 and not set(running.workers()) & set(before))
    both_workers(lambda: answer(running.port, "127.0.5.7", "s3cret") == b"")
    assert served(running.port, "127.0.5.8")


def test_trusted_networks_are_exempt_and_reloading_changes_which(running):
    for count in range(20):
        assert answer(running.port, "127.9.0.1", f"wrong{count}") == REFUSED
    assert served(running.port, "127.9.0.1")
    assert bans(running) == {}
    fail_until_banned(running, "127.0.5.9", "bob")
    assert running.vpn("bans", "remove", "bob").code == 0
    configure(running.data_dir, "127.0.5.0/24")
    assert running.vpn("reload").code == 0
    assert served(running.port, "127.0.5.9", "bob"), "who is trusted now is banned no more"
    fail_until_banned(running, "127.9.0.1", "bob")


def test_behind_a_load_balancer_it_is_its_clients_that_are_banned(running):
    header = b"PROXY TCP4 203.0.113.%d 127.0.0.1 4711 1080\r\n"
    port = balanced(running)
    fail_until_banned(running, BALANCER, "bob", header % 9, port)
    assert ("source", "203.0.113.9") in bans(running)
    assert ("source", BALANCER) not in bans(running)
    both_workers(lambda: answer(port, BALANCER, "s3cret", "alice", header % 9) == b"")
    both_workers(lambda: served(port, BALANCER, "alice", header % 8))


def test_a_user_under_attack_gets_in_from_where_she_is_known(running):
    home = "127.0.6.1"
    assert served(running.port, home)
    for number in range(6):
        assert answer(running.port, f"127.0.7.{number + 1}", f"guess{number}") == REFUSED
    until(lambda: ("user", "alice") in bans(running))
    assert bans(running)["user", "alice"]["exempt"] == [home]
    until(lambda: answer(running.port, "127.0.7.99", "s3cret") == REFUSED)
    both_workers(lambda: answer(running.port, "127.0.7.99", "s3cret") == REFUSED)
    both_workers(lambda: served(running.port, home))
    assert served(running.port, "127.0.7.99", "bob"), "other names are not concerned"
    assert served(running.port, "127.9.0.1"), "nor are trusted networks"


def test_a_storm_of_wrong_passwords_hurts_nobody_else(data_dir, echo_port):
    """Two hundred a second from everywhere, while somebody works, and newcomers come for the first time.

    A newcomer may be turned away where all who storm are newcomers as well; whoever comes back goes first.
    """
    with running_daemon(
        data_dir, VPN_PROXY__WORKERS="2", VPN_BANS__TRUSTED="127.9.0.0/16", VPN_BANS__BAN_AFTER="1000"
    ) as daemon:
        newcomers = [f"user{number}" for number in range(5)]
        for name in ("alice", *newcomers):
            daemon.add_user(name)
        assert served(daemon.port, "127.0.6.1")
        with storm(daemon.port, 200, 300) as answers:
            until(lambda: "authentication failed" in daemon.err, seconds=30)
            for name in newcomers:
                for _ in range(60):
                    with connect(daemon.port, "127.0.6.1") as client:
                        tunnel(client, "alice", echo_port)
                source = f"127.0.6.10{name[-1]}"
                assert served(daemon.port, source, name) or served(daemon.port, source, name)
        assert answers["refused"] > 0
        assert set(answers) <= {"made", "refused", "closed"}


def tunnel(client: socket.socket, user: str, port: int) -> None:
    """Log in, connect, and have something echoed."""
    client.sendall(b"\x05\x01\x02\x01" + bytes([len(user)]) + user.encode() + b"\x06s3cret")
    assert read_exactly(client, 4) == b"\x05\x02\x01\x00"
    client.sendall(socks5(CONNECT, "127.0.0.1", port))
    assert read_reply(client)[0] == 0
    client.sendall(b"x")
    assert read_exactly(client, 1) == b"x"
