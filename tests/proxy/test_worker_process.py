"""Workers that die, hang, or cannot be started, as real processes."""

import asyncio
import os
import signal
import socket

import pytest

from tests.support.plane import PASSWORD, login, read_exactly, snapshot
from tests.support.supervised import Daemon, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("daemon", [2], indirect=True)
async def test_a_worker_that_is_killed_is_back_and_the_others_tunnels_live(daemon, echo_port):
    clients = [await asyncio.to_thread(daemon.tunnel, echo_port) for _ in range(20)]
    await until(lambda: daemon.supervisor.totals().active == 20)
    victim, survivor = daemon.supervisor.status()
    assert victim.active + survivor.active == 20
    os.kill(victim.pid, signal.SIGKILL)
    await until(lambda: daemon.supervisor.status()[0].restarts == 1 and daemon.supervisor.status()[0].ready)

    alive = 0
    for client in clients:
        try:
            client.sendall(b"x")
            alive += await asyncio.to_thread(read_exactly, client, 1) == b"x"
        except (AssertionError, ConnectionError):
            pass
        client.close()
    assert alive == survivor.active
    assert daemon.supervisor.totals().opened >= 20, "what the dead worker counted is kept"
    assert [(event, fields["worker"]) for _, event, fields in daemon.log.lines] == [("worker died", 0)]
    for _ in range(10):
        (await asyncio.to_thread(daemon.tunnel, echo_port)).close()


async def test_a_restarted_worker_has_the_newest_snapshot_and_the_same_socket(daemon, echo_port):
    await daemon.supervisor.publish(snapshot(2, users={"carol": True}))
    os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
    # This connection waits in the socket's queue while there is no worker.
    client = await asyncio.to_thread(daemon.tunnel, echo_port, "carol")
    client.close()


async def test_thousands_of_users_do_not_hold_up_a_start_or_a_restart(echo_port):
    """The snapshot is far larger than what a socket takes at once."""
    many = snapshot(users={f"user{number}": True for number in range(20_000)})
    daemon = Daemon(1)
    await daemon.supervisor.start(many)
    (await asyncio.to_thread(daemon.tunnel, echo_port, "user19999")).close()
    os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
    (await asyncio.to_thread(daemon.tunnel, echo_port, "user0")).close()
    await daemon.supervisor.stop(0)


async def test_a_verdict_is_not_for_the_next_worker(daemon, monkeypatch):
    """Questions of a worker that died are not answered to its successor, who numbers his own from 1 too."""
    release = asyncio.Event()

    async def verify(user, password):
        if password == PASSWORD:
            await release.wait()
            return True, 1
        await asyncio.sleep(60)
        return False, 1

    daemon.answer = verify

    def ask(password):
        client = socket.create_connection(("127.0.0.1", daemon.port), timeout=1)
        client.sendall(b"\x05\x01\x02\x01\x05alice" + bytes([len(password)]) + password.encode())
        assert read_exactly(client, 2) == b"\x05\x02"
        return client

    first = await asyncio.to_thread(ask, PASSWORD)
    os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
    await until(lambda: daemon.supervisor.status()[0].restarts == 1 and daemon.supervisor.status()[0].ready)
    second = await asyncio.to_thread(ask, "wrong")
    release.set()
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(second.recv, 1)
    await daemon.supervisor.publish(snapshot(2))
    assert daemon.log.lines[-1][1] == "worker died", "and the new worker hears"
    first.close()
    second.close()


async def test_a_question_that_cannot_be_answered_is_a_no(daemon):
    async def fail(user, password):
        raise RuntimeError("the database is away")

    daemon.answer = fail
    with pytest.raises(AssertionError):
        await asyncio.to_thread(daemon.tunnel, 1)
    assert daemon.log.lines[-1][1] == "a password could not be verified"
    del daemon.answer
    client = socket.create_connection(("127.0.0.1", daemon.port), timeout=5)
    await asyncio.to_thread(login, client)
    client.close()


async def test_a_worker_that_cannot_be_started_is_tried_again(daemon, monkeypatch, echo_port):
    monkeypatch.setattr("vpn.proxy.worker_process.LONGEST_BACKOFF", 0.1)
    spawn, failures = asyncio.create_subprocess_exec, [OSError(11, "no more processes")] * 2

    async def sometimes(*arguments, **options):
        if failures:
            raise failures.pop()
        return await spawn(*arguments, **options)

    monkeypatch.setattr("asyncio.create_subprocess_exec", sometimes)
    os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
    (await asyncio.to_thread(daemon.tunnel, echo_port)).close()
    assert [event for _, event, _ in daemon.log.lines] == ["worker died", *["worker cannot be started"] * 2]


async def test_stopping_while_a_worker_is_being_restarted(daemon, monkeypatch):
    monkeypatch.setattr("vpn.proxy.worker_process.LONGEST_BACKOFF", 60)
    for deaths in range(1, 4):
        await until(lambda: daemon.supervisor.status()[0].pid)
        os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
        await until(lambda deaths=deaths: len(daemon.log.lines) == deaths)
    await asyncio.wait_for(daemon.supervisor.stop(0), 10)
    assert not daemon.supervisor.status()[0].pid
