import socket

import pytest

from tests.support.plane import lone_accounts, lone_recorder
from vpn.domain.session import Session
from vpn.proxy.connector import Reached
from vpn.proxy.core import Core
from vpn.proxy.kept import Kept
from vpn.proxy.poller import EDGE, READ, WRITE, Poller

WHERE = ("a.test", 80, "alice")


@pytest.fixture
def core():
    errors = []
    core = Core(Poller(errors.append), pytest.fail, lone_accounts(), lone_recorder()[1])
    yield core
    core.poller.turn(0)
    core.resolver.close()
    assert errors == []


@pytest.fixture
def pair(core):
    ours, far = socket.socketpair()
    core.poller.register(ours.fileno(), pytest.fail, READ | WRITE | EDGE)
    yield ours, far
    ours.close()
    far.close()


def keep(core, stream):
    host, port, user = WHERE
    session = Session(1, "main", "192.0.2.9", 1, 0.0, host=host, port=port, user=user, upstream="a")
    return Kept(core, Reached(stream, "192.0.2.1", unread=False), session)


@pytest.mark.parametrize("other", [("b.test", 80, "alice"), ("a.test", 81, "alice"), ("a.test", 80, "bob")])
def test_it_leads_to_one_place_and_is_one_users(core, pair, other):
    kept = keep(core, pair[0])
    assert not kept.reaches(*other)
    assert kept.reaches(*WHERE)
    assert kept.upstream == "a"
    assert kept.take().stream is pair[0]
    assert not kept.reaches(*WHERE)
    kept.close()  # it is somebody else's now
    core.poller.turn(0)
    assert pair[0].fileno() >= 0


def test_room_for_a_request_is_no_reason_to_close(core, pair):
    kept = keep(core, pair[0])
    core.poller.turn(1)  # it is writable
    assert kept.reaches(*WHERE)


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("say", [lambda far: far.send(b"x"), lambda far: far.close()])
def test_it_is_of_no_use_once_the_destination_says_anything(core, pair, say, told):
    """Also where the event that told of it was another's."""
    kept = keep(core, pair[0])
    say(pair[1])
    if told:
        core.poller.turn(1)
        assert pair[0].fileno() < 0
    assert not kept.reaches(*WHERE)


def test_closing_twice_is_closing_once(core, pair):
    kept = keep(core, pair[0])
    kept.close()
    kept.close()
    core.poller.turn(0)
    assert pair[0].fileno() < 0
    assert not kept.reaches(*WHERE)
