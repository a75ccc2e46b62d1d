"""A client's bytes on their way to the parser; what becomes of them is in test_handshake.py."""

import socket

import pytest

from tests.support.plane import lone_accounts, lone_recorder
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.domain.session import Session
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.intake import CHUNK, Intake
from vpn.proxy.poller import Poller


class Entry:
    inbound = Inbound("main", "mixed", Endpoint("127.0.0.1", 1))
    timeouts = inbound.timeouts

    def give_place(self):
        pass


class Listening(Intake):
    """Takes everything that it is fed; a `?` makes it wait."""

    __slots__ = ("closed", "heard", "told")

    def __init__(self, core, sock, **options):
        session = Session(1, "main", "192.0.2.1", 1, 0.0)
        super().__init__(core, sock, session, Client(Entry(), core.nobody), **options)
        self.heard, self.told, self.closed = [], [], ""

    def _begin(self):
        self._parser = object()
        return True

    def _advance(self, answer):
        self.heard.append(self._reader.rest())
        self._waiting = self.heard[-1].endswith(b"?")

    def _told_meanwhile(self, mask):
        self.told.append(mask)

    def _close(self, status, reason):
        self.closed = reason
        self.session.end(status, reason, 1.0)


@pytest.fixture
def core():
    core = Core(Poller(pytest.fail), pytest.fail, lone_accounts(), lone_recorder()[1])
    yield core
    core.resolver.close()


@pytest.fixture
def pair():
    ours, client = socket.socketpair()
    ours.setblocking(False)
    with ours, client:
        yield ours, client


def turns(core, condition):
    for _ in range(100):
        core.poller.turn(0.05)
        if condition():
            return
    raise AssertionError("it did not come to that")


def test_all_bytes_are_fed_in_their_order_and_others_have_their_turn(core, pair):
    ours, client = pair
    said = bytes(range(256)) * (10 * CHUNK // 256)
    client.sendall(said)
    intake = Listening(core, ours, first=True)
    intake.start()
    assert b"".join(intake.heard) == said[: 4 * CHUNK], "one burst"
    turns(core, lambda: b"".join(intake.heard) == said)


def test_who_waits_is_not_read_and_the_end_is_told(core, pair):
    ours, client = pair
    intake = Listening(core, ours, first=True)
    intake.start()
    client.sendall(b"may I?")
    turns(core, lambda: intake.heard == [b"may I?"])
    client.sendall(b"more")
    turns(core, lambda: bool(intake.told))
    assert intake.heard == [b"may I?"]
    intake._waiting = False
    intake._read_on()
    assert intake.heard == [b"may I?", b"more"]
    client.close()
    turns(core, lambda: intake.closed == "client_closed")


def test_empty_lines_before_a_second_request_are_nothing(core, pair):
    ours, client = pair
    core.poller.register(ours.fileno(), lambda mask: None, 1)
    intake = Listening(core, ours, first=False)
    intake.take_over(b"\r\n\r\n")
    assert (intake._parser, intake.heard) == (None, [])
    client.sendall(b"\r\nGET")
    turns(core, lambda: intake.heard == [b"GET"])
