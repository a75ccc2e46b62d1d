"""The supervisor with real worker processes."""

import asyncio
import os
import signal
import socket

import pytest

from tests.support.plane import PASSWORD, login, read_exactly, snapshot
from tests.support.servers import echo, tcp_server
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy.supervisor import Supervisor, bind

pytestmark = pytest.mark.anyio


class Log:
    def __init__(self):
        self.lines = []

    def log(self, level, event, **fields):
        self.lines.append((level, event, fields))


class Daemon:
    """What the supervisor has around it."""

    def __init__(self, workers):
        self.bound = bind(Inbound("main", "mixed", Endpoint("127.0.0.1", 0)), workers)
        self.port = self.bound.inbound.listen.port
        self.log = Log()
        self.sessions = []
        self.supervisor = Supervisor(
            [self.bound], workers, verify=self.verify, on_sessions=self.sessions.extend, log=self.log
        )

    async def verify(self, user, password):
        return password == PASSWORD, 1

    def tunnel(self, port, user="alice"):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        try:
            login(client, user)
            client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
            assert read_exactly(client, 10)[1] == 0
        except BaseException:
            client.close()
            raise
        return client


async def until(condition, seconds=10):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what is waited for happens in another process
            await asyncio.sleep(0.01)


@pytest.fixture
async def daemon(request):
    daemon = Daemon(getattr(request, "param", 1))
    await daemon.supervisor.start(snapshot())
    yield daemon
    await daemon.supervisor.stop(0)


@pytest.fixture
def echo_port():
    with tcp_server(echo) as port:
        yield port


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

    daemon.supervisor.verify = verify

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

    daemon.supervisor.verify = fail
    with pytest.raises(AssertionError):
        await asyncio.to_thread(daemon.tunnel, 1)
    assert daemon.log.lines[-1][1] == "a password could not be verified"
    daemon.supervisor.verify = daemon.verify
    client = socket.create_connection(("127.0.0.1", daemon.port), timeout=5)
    await asyncio.to_thread(login, client)
    client.close()


async def test_a_worker_that_cannot_be_started_is_tried_again(daemon, monkeypatch, echo_port):
    monkeypatch.setattr("vpn.proxy.supervisor.LONGEST_BACKOFF", 0.1)
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
    monkeypatch.setattr("vpn.proxy.supervisor.LONGEST_BACKOFF", 60)
    for deaths in range(1, 4):
        await until(lambda: daemon.supervisor.status()[0].pid)
        os.kill(daemon.supervisor.status()[0].pid, signal.SIGKILL)
        await until(lambda deaths=deaths: len(daemon.log.lines) == deaths)
    await asyncio.wait_for(daemon.supervisor.stop(0), 10)
    assert not daemon.supervisor.status()[0].pid


def _refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_a_port_that_is_taken_is_not_shared():
    taken = bind(Inbound("main", "mixed", Endpoint("127.0.0.1", 0)), 2)
    with pytest.raises(OSError, match="in use"):
        bind(taken.inbound, 1)
    for sock in taken.sockets:
        sock.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_all_workers_get_the_same_port(host):
    bound = bind(Inbound("main", "mixed", Endpoint(host, 0)), 3)
    assert {sock.getsockname()[1] for sock in bound.sockets} == {bound.inbound.listen.port}
    for sock in bound.sockets:
        sock.close()
