import gc
import socket
import weakref

import pytest

from vpn.domain import egress
from vpn.proxy.connector import Reached
from vpn.proxy.poller import EDGE, READ, Poller
from vpn.proxy.pool import Pool


@pytest.fixture
def poller():
    errors = []
    poller = Poller(errors.append)
    yield poller
    poller.turn(0)
    assert errors == []


@pytest.fixture
def make(poller):
    """Makes connections: ours as the pool gets it, and the far end."""
    opened = []

    def connection(early=b""):
        ours, far = socket.socketpair()
        opened.extend((ours, far))
        ours.setblocking(False)
        poller.register(ours.fileno(), pytest.fail, READ | EDGE)
        return Reached(ours, "", unread=True, early=early), far

    yield connection
    for sock in opened:
        sock.close()


def pool(poller, **settings):
    return Pool(poller, egress.Pool(**{"max_idle_per_upstream": 2, "max_idle": 3} | settings))


def test_the_freshest_is_taken_and_only_once(poller, make):
    idle = pool(poller)
    (first, _), (second, _), (other, _) = (make() for _ in range(3))
    for name, reached in (("a", first), ("a", second), ("b", other)):
        idle.put(name, reached)
    assert (idle.idle("a"), idle.idle("b"), idle.idle("c")) == (2, 1, 0)
    assert [idle.take("a") for _ in range(3)] == [second, first, None]
    assert idle.take("b") is other
    poller.turn(0)
    assert all(each.stream.fileno() >= 0 for each in (first, second, other))


def test_the_oldest_goes_when_there_are_too_many(poller, make):
    idle = pool(poller)
    made = [make()[0] for _ in range(5)]
    for number, reached in enumerate(made):
        idle.put(f"{number % 2}", reached)
    poller.turn(0)
    assert [each.stream.fileno() >= 0 for each in made] == [False, False, True, True, True]
    assert idle.evicted == 2


def test_what_is_being_made_counts(poller, make):
    idle = pool(poller)
    assert idle.wants("a")
    idle.expected("a")
    idle.expected("a")
    assert not idle.wants("a")
    assert idle.wants("b")
    idle.arrived("a")
    idle.put("a", make()[0])
    assert not idle.wants("a")
    idle.arrived("a")
    assert idle.wants("a")


@pytest.mark.parametrize("settings", [{"max_idle": 0}, {"max_idle_per_upstream": 0}])
def test_none_is_wanted_where_none_may_be_kept(poller, make, settings):
    idle = pool(poller, **settings)
    assert not idle.wants("a")


@pytest.mark.parametrize("say", [lambda far: far.send(b"x"), lambda far: far.close()])
def test_one_that_says_anything_is_closed(poller, make, say):
    idle = pool(poller)
    reached, far = make()
    idle.put("a", reached)
    poller.turn(0)
    say(far)
    poller.turn(1)
    assert idle.take("a") is None
    poller.turn(0)
    assert reached.stream.fileno() < 0
    assert idle.evicted == 0


def test_one_that_has_spoken_already_is_not_kept(poller, make):
    idle = pool(poller)
    reached, _ = make(b"hello")
    idle.put("a", reached)
    poller.turn(0)
    assert idle.take("a") is None
    assert reached.stream.fileno() < 0


def test_one_that_nobody_needs_is_closed_after_a_while(poller, make):
    idle = pool(poller, idle_timeout=0.01)
    kept, taken = make()[0], make()[0]
    idle.put("a", kept)
    idle.put("a", taken)
    assert idle.take("a") is taken
    for _ in range(100):
        poller.turn(0.05)
        if kept.stream.fileno() < 0:
            break
    assert idle.idle("a") == 0
    assert taken.stream.fileno() >= 0


def test_one_that_was_taken_is_forgotten_at_once(poller):
    """Until its time was over, hundreds of megabytes of closed TLS connections would be remembered."""

    class Stream:
        def fileno(self):
            return 999

        def recv(self, most, flags):
            raise BlockingIOError

        def close(self):
            pass

    idle = pool(poller)
    stream = Stream()
    idle.put("a", Reached(stream, "", unread=True))
    assert idle.take("a") is not None
    poller.close(stream)
    poller.turn(0)
    gone = weakref.ref(stream)
    del stream
    gc.collect()
    assert gone() is None


def test_a_closed_pool_keeps_nothing_that_comes_late(poller, make):
    idle = pool(poller)
    before, after = make()[0], make()[0]
    idle.put("a", before)
    idle.close()
    idle.put("a", after)
    poller.turn(0)
    assert before.stream.fileno() < 0
    assert after.stream.fileno() < 0
    assert idle.take("a") is None
