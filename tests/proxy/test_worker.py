"""A real worker process, with the test as its daemon."""

import os
import select
import socket
import subprocess
import sys

import pytest

from tests.support.plane import login, read_exactly, snapshot
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.domain.policy import ALLOW_ALL
from vpn.proxy import journal, limits, salts
from vpn.proxy.channel import Channel
from vpn.proxy.control import (
    NO_RULES,
    Applied,
    Drain,
    Listen,
    Listening,
    Log,
    Ready,
    Report,
    Rules,
    RulesApplied,
    ToDaemon,
    Verdict,
    Verify,
)
from vpn.proxy.listener import open_socket
from vpn.proxy.meter import Meter, prepare
from vpn.proxy.poller import READ
from vpn.proxy.worker import MOST_WAITING, Worker


def listen(*ports):
    """Serve inbounds on these ports, whose numbers are the ports."""
    inbounds = [Inbound(f"inbound{port}", "mixed", Endpoint("127.0.0.1", port)) for port in ports]
    return Listen([Listening(each.listen.port, 1, each) for each in inbounds], 0, 0.1)


class Process:
    def __init__(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.messages = []
        self.gone = False
        self.channel = Channel(
            ours, ToDaemon, receive=self.messages.append, closed=self.closed, want_write=lambda wanted: None
        )
        memory, metered = limits.create(1), os.memfd_create("meter")
        journaled = os.memfd_create("journal")
        prepare(metered, 1)
        journal.prepare(journaled)
        self.journal = journal.Journal(journaled)
        salted = salts.create(1)
        inherited = (theirs.fileno(), memory, metered, journaled, salted)
        command = [sys.executable, "-P", "-m", "vpn.proxy.worker", *map(str, inherited), "0"]
        self.process = subprocess.Popen(command, pass_fds=inherited)
        theirs.close()
        os.close(memory)
        os.close(metered)
        os.close(journaled)
        os.close(salted)

    def closed(self):
        self.gone = True

    def listen(self):
        sock = open_socket(("127.0.0.1", 0), socket.AF_INET)
        port = sock.getsockname()[1]
        self.channel.send(listen(port), [sock.fileno()])
        self.channel.send(NO_RULES)
        self.channel.send(snapshot())
        sock.close()
        return port

    def ended(self):
        """The sessions that have ended, once there are some."""
        while not (sessions := self.journal.read(self.next(Report).journaled)):
            pass
        return sessions

    def next(self, kind):
        """The next message of a kind; the others are dropped."""
        for _ in range(100):
            while self.messages:
                message = self.messages.pop(0)
                if isinstance(message, kind):
                    return message
            select.select([self.channel], [], [], 5)
            self.channel.on_readable()
        raise AssertionError(f"no {kind}")


@pytest.fixture
def worker():
    process = Process()
    yield process
    process.channel.close()
    assert process.process.wait(5) is not None


def test_it_applies_listens_asks_reports_and_drains(worker):
    port = worker.listen()
    assert worker.next(Applied) == Applied(1)
    assert worker.next(Ready) == Ready()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"\x05\x01\x02\x01\x05alice\x06s3cret")
        question = worker.next(Verify)
        assert (question.user, question.password) == ("alice", "s3cret")
        worker.channel.send(Verdict(question.id, True, 1))
        assert read_exactly(client, 4) == b"\x05\x02\x01\x00"
    (session,) = worker.ended()
    assert (session.reason, session.user) == ("client_closed", "alice")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        login(client)  # it remembers
    worker.channel.send(Drain(0))
    assert worker.process.wait(5) == 0


@pytest.mark.parametrize("first", ["rules", "snapshot"])
def test_it_does_not_accept_before_it_has_a_snapshot_and_rules(worker, first):
    messages = [NO_RULES, snapshot()] if first == "rules" else [snapshot(), NO_RULES]
    sock = open_socket(("127.0.0.1", 0), socket.AF_INET)
    worker.channel.send(listen(sock.getsockname()[1]), [sock.fileno()])
    with socket.create_connection(sock.getsockname(), timeout=5) as client:
        sock.close()
        client.sendall(b"\x05\x01\x02")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        worker.channel.send(messages[0])
        worker.next(RulesApplied if first == "rules" else Applied)
        with pytest.raises(TimeoutError):
            client.recv(1)
        worker.channel.send(messages[1])
        client.settimeout(5)
        assert client.recv(2) == b"\x05\x02"


def test_it_says_when_rules_are_in_force_or_cannot_be(worker):
    worker.listen()
    assert worker.next(RulesApplied) == RulesApplied(0)
    worker.channel.send(Rules(1, ALLOW_ALL, "/nowhere.mmdb"))
    answer = worker.next(RulesApplied)
    assert answer.version == 1
    assert "/nowhere.mmdb" in answer.problem


def test_a_message_it_cannot_read_ends_it(worker):
    """A worker that does not hear the daemon would serve those who may no longer be served."""
    worker.listen()
    worker.next(Ready)
    worker.channel.send(Ready())  # not for workers
    assert worker.process.wait(5) == 1


def test_when_the_daemon_is_gone_so_is_the_worker_and_its_port(worker):
    port = worker.listen()
    worker.next(Ready)
    worker.channel.close()
    assert worker.process.wait(5) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_it_leaves_signals_of_the_terminal_to_the_daemon(worker):
    worker.listen()
    worker.next(Ready)
    worker.process.terminate()
    worker.channel.send(snapshot(2))
    assert worker.next(Applied) == Applied(2)


def test_what_a_daemon_that_hangs_does_not_hear_does_not_pile_up():
    messages = 5000
    ours, theirs = socket.socketpair()
    memory, metered, journaled = limits.create(1), os.memfd_create("meter"), os.memfd_create("journal")
    prepare(metered, 1)
    journal.prepare(journaled)
    worker = Worker(theirs, limits.Counters(memory), Meter(metered), journal.Journal(journaled), salts.lone_salts(), 0)
    for fd in (memory, metered, journaled):
        os.close(fd)
    worker._poller.register(theirs.fileno(), worker._on_channel, READ)
    told = Log("info", "datagram refused", {"destination": "x" * 1000})
    for _ in range(messages):
        worker._send(told)
        worker._tell()
    assert worker._channel.backlog <= MOST_WAITING + 1
    heard = []
    ours.setblocking(False)
    channel = Channel(ours, ToDaemon, receive=heard.append, closed=lambda: None, want_write=lambda wanted: None)
    while worker._channel.backlog:
        channel.on_readable()
        worker._channel.on_writable()
    worker._send(told)
    while channel.on_readable():
        pass
    assert heard[-2].event == "the daemon did not hear everything"
    assert heard[-2].fields["messages"] == messages + 1 - sum(each == told for each in heard)
    channel.close()
    worker._channel.close()
    worker._core.resolver.close()


def test_it_imports_little():
    """A worker's memory is what it imports: no event loop of a library, no web framework, no database."""
    code = (
        "import sys, vpn.proxy.worker\n"
        "heavy = {'asyncio', 'ssl', 'sqlalchemy', 'fastapi', 'pydantic', 'structlog', 'argon2', 'logging'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
