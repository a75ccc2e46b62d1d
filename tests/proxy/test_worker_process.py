"""Workers that die, hang, or cannot be started, as real processes."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support import waiting
from tests.support.plane import PASSWORD, login, read_exactly, snapshot
from tests.support.supervised import Daemon, until
from vpn.proxy.journal import Journal, prepare
from vpn.proxy.worker_process import MOST_UNREAD

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
    said = [(event, fields["worker"]) for _, event, fields in daemon.log.lines]
    assert said == [("worker died", 0), ("worker started again", 0)]
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
    assert daemon.log.lines[-1][1] == "worker started again", "and it hears"
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
    told = ["worker died", *["worker cannot be started"] * 2, "worker started again"]
    assert [event for _, event, _ in daemon.log.lines] == told


@pytest.mark.parametrize("daemon", [2], indirect=True)
async def test_a_worker_that_hangs_is_started_again_before_messages_pile_up(daemon, monkeypatch, echo_port):
    monkeypatch.setattr("vpn.proxy.supervisor.APPLY_TIMEOUT", 0.01)
    many = {f"user{number}": True for number in range(2000)} | {"alice": True}
    os.kill(daemon.supervisor.status()[1].pid, signal.SIGSTOP)
    for version in range(2, 2 + 2 * MOST_UNREAD):
        await daemon.supervisor.publish(snapshot(version, users=many))
    await until(lambda: daemon.supervisor.status()[1].restarts == 1 and daemon.supervisor.status()[1].ready)
    assert daemon.supervisor.status()[0].restarts == 0
    for _ in range(10):
        (await asyncio.to_thread(daemon.tunnel, echo_port)).close()


async def test_stopping_while_a_worker_is_being_restarted(daemon, monkeypatch):
    monkeypatch.setattr("vpn.proxy.worker_process.LONGEST_BACKOFF", 60)
    for deaths in range(1, 4):
        await until(lambda: daemon.supervisor.status()[0].pid)
        os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
        await until(lambda deaths=deaths: [line[1] for line in daemon.log.lines].count("worker died") == deaths)
    await asyncio.wait_for(daemon.supervisor.stop(0), 10)
    assert not daemon.supervisor.status()[0].pid


@pytest.fixture
async def cramped(monkeypatch):
    """A daemon whose worker's journal holds some ten sessions."""

    def small():
        fd = os.memfd_create("journal")
        prepare(fd, 2048)
        return fd

    monkeypatch.setattr("vpn.proxy.supervisor._journal", small)
    daemon = Daemon(1)
    await daemon.supervisor.start(snapshot())
    yield daemon
    await daemon.supervisor.stop(0)


def kill(daemon):
    """Kill the worker, and return when it is gone; the daemon has not heard of it yet."""
    pid = daemon.supervisor.status()[0].pid
    os.kill(pid, signal.SIGKILL)
    waiting.until(lambda: not Path(f"/proc/{pid}/exe").exists())


def visit(daemon):
    """A client that is turned away at once: it gives no password, and must."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=5) as client:
        client.sendall(b"\x05\x01\x09")
        assert read_exactly(client, 2) == b"\x05\xff"


def told(daemon, event):
    return [fields for _, said, fields in daemon.log.lines if said == event]


async def test_live_sessions_of_a_worker_that_died_are_closed_though_the_journal_cannot_hold_them(cramped, echo_port):
    clients = [await asyncio.to_thread(cramped.tunnel, echo_port) for _ in range(40)]
    await until(lambda: len(cramped.live) == 40)
    kill(cramped)
    await until(lambda: len(cramped.sessions) == 40)
    assert {each.reason for each in cramped.sessions} == {"worker_died"}
    assert cramped.supervisor.totals().unaccounted == 0
    for client in clients:
        client.close()


async def test_it_is_known_how_many_sessions_a_worker_took_with_it(daemon):
    clients = [socket.create_connection(("127.0.0.1", daemon.port), timeout=5) for _ in range(20)]
    for client in clients:
        client.sendall(b"\x05\x01\x02")
        assert read_exactly(client, 2) == b"\x05\x02"
    kill(daemon)  # nothing was awaited since they came: the daemon has not heard of them
    await until(lambda: told(daemon, MISSING))
    heard = [each for each in daemon.sessions if each.reason == "worker_died"]
    (line,) = told(daemon, MISSING)
    assert line["sessions"] == 20 - len(heard) > 0
    assert daemon.supervisor.totals().unaccounted == line["sessions"]
    await until(lambda: daemon.supervisor.status()[0].ready)
    kill(daemon)
    await until(lambda: daemon.supervisor.status()[0].restarts == 2)
    assert len(told(daemon, MISSING)) == 1, "they are told once"
    for client in clients:
        client.close()


MISSING = "sessions are unaccounted for: they began just before their worker died"


async def test_of_a_damaged_journal_what_is_whole_is_heard_and_the_rest_told(daemon):
    journal = daemon.supervisor._workers[0].sessions.journal
    other = Journal(daemon.supervisor._journals[0])
    ends = []

    def recorded():
        other.read(other.written)
        ends.extend(other.ends)
        return len(ends) == 3

    for _ in range(3):
        visit(daemon)
    waiting.until(recorded)
    kill(daemon)
    start = ends[1]
    journal.ring[start : start + 4] = b"\xff\xff\x00\x00"
    other.close()
    await until(lambda: daemon.supervisor.status()[0].ready and daemon.supervisor.status()[0].restarts)
    assert len(daemon.sessions) == 2
    assert len(told(daemon, "a journal of sessions is damaged: some are lost")) == 1
    assert daemon.supervisor.totals().unaccounted == 1
    visit(daemon)
    await until(lambda: len(daemon.sessions) == 3)
