"""The supervisor with real worker processes."""

import asyncio
import os
import signal
import socket

import pytest

from tests.support.plane import read_exactly, snapshot
from tests.support.shadowsocks import client as shadowsocks_client
from tests.support.shadowsocks import receive
from tests.support.shadowsocks import users as shadowsocks_users
from tests.support.supervised import Daemon, until
from tests.support.upstreams import route, upstream
from vpn.domain.address import Endpoint
from vpn.domain.egress import Egress
from vpn.domain.inbound import Inbound, Timeouts
from vpn.domain.policy import ALLOW_ALL
from vpn.proxy import limits, salts
from vpn.proxy.binding import bind
from vpn.proxy.control import Rules, Snapshot

pytestmark = pytest.mark.anyio


async def test_sessions_and_counters_come_up(daemon, echo_port):
    client = await asyncio.to_thread(daemon.tunnel, echo_port)
    client.sendall(b"12345")
    await asyncio.to_thread(read_exactly, client, 5)
    await until(lambda: daemon.supervisor.totals().active == 1)
    client.close()
    await until(lambda: daemon.sessions)
    (session,) = daemon.sessions
    assert (session.user, session.port, session.status) == ("alice", echo_port, "closed")
    totals = daemon.supervisor.totals()
    assert (totals.opened, totals.active, totals.bytes_sent, totals.bytes_received) == (1, 0, 5, 5)


async def test_a_change_is_in_force_when_publish_returns(daemon, echo_port):
    alice = await asyncio.to_thread(daemon.tunnel, echo_port, "alice")
    bob = await asyncio.to_thread(daemon.tunnel, echo_port, "bob")
    await daemon.supervisor.publish(snapshot(2, users={"alice": False, "bob": True}))
    with pytest.raises(ConnectionResetError):
        alice.recv(1)
    bob.sendall(b"x")
    assert await asyncio.to_thread(read_exactly, bob, 1) == b"x"
    with pytest.raises(AssertionError):
        await asyncio.to_thread(daemon.tunnel, echo_port, "alice")
    alice.close()
    bob.close()


@pytest.mark.parametrize("daemon", [2], indirect=True)
async def test_rules_are_in_force_in_all_workers_when_publish_rules_returns(daemon):
    await daemon.supervisor.publish_rules(Rules(1, ALLOW_ALL))
    assert daemon.log.lines == []
    await daemon.supervisor.publish_rules(Rules(2, ALLOW_ALL, "/nowhere.mmdb"))
    assert [(event, fields["worker"]) for _, event, fields in sorted(daemon.log.lines, key=str)] == [
        ("a worker cannot work by the policy", 0),
        ("a worker cannot work by the policy", 1),
    ]


async def test_draining_lets_sessions_end(daemon, echo_port):
    client = await asyncio.to_thread(daemon.tunnel, echo_port)
    stop = asyncio.create_task(daemon.supervisor.stop(30))
    await until(lambda: _refuses(daemon.port))
    client.sendall(b"still here")
    assert await asyncio.to_thread(read_exactly, client, 10) == b"still here"
    assert not stop.done()
    client.close()
    await asyncio.wait_for(stop, 5)
    assert [session.reason for session in daemon.sessions if session.user] == ["eof"]
    assert daemon.log.lines == []


async def test_draining_is_bounded(daemon, echo_port):
    client = await asyncio.to_thread(daemon.tunnel, echo_port)
    await asyncio.wait_for(daemon.supervisor.stop(0.1), 5)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    client.close()
    assert [session.reason for session in daemon.sessions] == ["shutdown"]


async def test_a_hanging_worker_does_not_hold_up_a_change(daemon, monkeypatch):
    monkeypatch.setattr("vpn.proxy.supervisor.APPLY_TIMEOUT", 0.1)
    pid = daemon.supervisor.status()[0].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.wait_for(daemon.supervisor.publish(snapshot(2)), 5)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert daemon.log.lines[0][1] == "workers are slow to apply a change"


def _refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_counters_and_gauges_come_up_and_outlive_a_worker(daemon, echo_port):
    (await asyncio.to_thread(daemon.tunnel, echo_port)).close()
    await until(lambda: daemon.supervisor.counters().allowed_by_default == 1)
    before = daemon.supervisor.counters()
    assert (before.accepted_asked, before.loop_seconds > 0) == (1, True)
    status = daemon.supervisor.status()[0]
    assert status.rss > 10 << 20
    assert 5 < status.fds < 100
    assert 0 < status.loop_lag < 10
    assert daemon.supervisor.gauges()[0].rss == status.rss
    os.kill(status.pid, signal.SIGKILL)
    await until(lambda: daemon.supervisor.status()[0].restarts == 1)
    after = daemon.supervisor.counters()
    assert (after.accepted_asked, after.allowed_by_default) == (1, 1)
    assert after.loop_seconds >= before.loop_seconds
    (await asyncio.to_thread(daemon.tunnel, echo_port)).close()
    await until(lambda: daemon.supervisor.counters().allowed_by_default == 2)


async def test_what_upstreams_did_outlives_a_worker(daemon):
    paris = upstream("paris", 9)  # nobody is there
    egress = {"upstreams": (paris,), "routes": (route("paris"),), "probe_interval": 3600.0}
    await daemon.supervisor.publish(snapshot(2, **egress))

    async def failed():
        with pytest.raises(AssertionError):
            await asyncio.to_thread(daemon.tunnel, 9)

    await failed()
    await until(lambda: [each.failed for each in daemon.supervisor.upstreams()] == [1])
    os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
    await until(lambda: daemon.supervisor.status()[0].restarts == 1)
    await failed()
    await until(lambda: [each.failed for each in daemon.supervisor.upstreams()] == [2])
    await daemon.supervisor.publish(snapshot(3))
    await until(lambda: daemon.supervisor.upstreams() == [])


async def test_workers_trace_as_many_as_they_are_told_and_those_started_again_too(daemon, echo_port):
    async def traced():
        daemon.sessions.clear()
        (await asyncio.to_thread(daemon.tunnel, echo_port)).close()
        await until(lambda: daemon.sessions)
        return daemon.sessions[0].phases is not None

    async def comes_to(wanted):
        async with asyncio.timeout(10):
            while await traced() != wanted:
                pass

    await comes_to(False)
    daemon.supervisor.trace(1.0)
    await comes_to(True)
    os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
    await until(lambda: daemon.supervisor.status()[0].restarts == 1)
    await comes_to(True)
    daemon.supervisor.trace(0.0)
    await comes_to(False)


async def test_who_is_awake_is_told_from_who_hangs(daemon):
    pids = [worker.pid for worker in daemon.supervisor.status()]
    everybody = set(range(len(pids)))
    assert await daemon.supervisor.awake(5) == everybody
    os.kill(pids[0], signal.SIGSTOP)
    try:
        for _ in range(3):
            assert await daemon.supervisor.awake(0.05) == everybody - {0}
        waiting = daemon.supervisor._workers[0]._cut_waits
        assert len(waiting) == 1, "who hangs is asked once"
    finally:
        os.kill(pids[0], signal.SIGCONT)
    assert await daemon.supervisor.awake(5) == everybody


async def test_what_one_worker_has_taken_is_not_played_back_to_another_or_after_a_restart(tmp_path, echo_port):
    method = "aes-256-gcm"
    quick = Timeouts(handshake=0.3)
    inbound = Inbound("main", "shadowsocks", Endpoint("127.0.0.1", 0), method=method, timeouts=quick)
    known = Snapshot(1, shadowsocks_users("alice"), Egress(private_destinations=True))
    request = ""
    for _ in range(2):
        used = salts.open_file(tmp_path / "salts", 2)
        daemon = Daemon(2, [bind(inbound, 2)], salts=used)
        await daemon.supervisor.start(known)
        if not request:
            sealed = shadowsocks_client(method)
            request = sealed.request("127.0.0.1", echo_port, b"hello")
            with socket.create_connection(("127.0.0.1", daemon.port), timeout=5) as sock:
                sock.sendall(request)
                assert await asyncio.to_thread(receive, sock, sealed, 5) == b"hello"
        socks = [socket.create_connection(("127.0.0.1", daemon.port), timeout=5) for _ in range(8)]
        for sock in socks:  # some to each worker
            sock.sendall(request)
        for sock in socks:
            assert await asyncio.to_thread(sock.recv, 1) == b""
            sock.close()
        await until(lambda daemon=daemon: sum(each.reason == "replayed" for each in daemon.sessions) == 8)
        await daemon.supervisor.stop(0)
        daemon.supervisor.kill()


async def test_where_all_columns_hold_clients_that_are_left_there_is_one_all_the_same(daemon):
    counters = limits.Counters(daemon.supervisor._memory)
    for column in range(1, limits.COLUMNS):
        counters.column(column, 0).take()
    more = bind(Inbound("more", "socks", Endpoint("127.0.0.1", 0)), 1)
    await daemon.supervisor.listen([*daemon.supervisor.bound, more], max_connections=0, drain=0)
    columns = [each.column for each in daemon.supervisor.bound]
    assert len(set(columns)) == len(columns)
    counters.close()
