import socket
import time

import pytest

from vpn.proxy.poller import EDGE, READ, WRITE, Poller


@pytest.fixture
def errors():
    return []


@pytest.fixture
def poller(errors):
    return Poller(errors.append)


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    left.setblocking(False)
    yield left, right
    left.close()
    right.close()


def test_a_handler_is_called_with_its_events(poller, pair):
    left, right = pair
    masks = []
    poller.register(left.fileno(), masks.append, READ | EDGE)
    right.send(b"x")
    poller.turn(1)
    assert len(masks) == 1
    poller.turn(0)
    assert len(masks) == 1, "edge-triggered: told once"
    poller.modify(left.fileno(), READ | WRITE | EDGE)
    poller.turn(1)
    assert masks[1] & WRITE


def test_events_can_be_handed_over_and_stopped(poller, pair):
    left, right = pair
    first, second = [], []
    poller.register(left.fileno(), first.append, READ | EDGE)
    poller.hand_over(left.fileno(), second.append)
    right.send(b"x")
    poller.turn(1)
    poller.unregister(left.fileno())
    right.send(b"x")
    poller.turn(0)
    assert (len(first), len(second)) == (0, 1)
    poller.unregister(left.fileno())


def test_a_descriptor_closed_in_a_batch_gets_no_stale_event_and_is_not_reused(poller):
    """Both ends have an event in one batch; the first handler closes both, and opens a new socket."""
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
    calls, opened = [], []

    def close_both(mask):
        calls.append(mask)
        poller.close(left)
        poller.close(right)
        opened.extend(socket.socketpair())

    numbers = {left.fileno(), right.fileno()}
    poller.register(left.fileno(), close_both, READ | EDGE)
    poller.register(right.fileno(), close_both, READ | EDGE)
    left.send(b"x")
    right.send(b"x")
    poller.turn(1)
    assert len(calls) == 1
    assert not numbers & {sock.fileno() for sock in opened}
    assert left.fileno() == right.fileno() == -1
    for sock in opened:
        sock.close()


def test_an_event_for_a_descriptor_that_somebody_else_closed_does_not_reach_its_next_owner(poller):
    """A library closes its socket in the middle of a batch, and the number is used again at once."""
    pairs = [socket.socketpair() for _ in range(2)]
    (first, far1), (second, far2) = pairs
    calls, reused = [], []

    def handle(mask):
        other = second if calls == [] else first
        calls.append(mask)
        number = other.fileno()
        poller.unregister(number)
        other.close()
        reused.extend(socket.socketpair())
        assert number in {sock.fileno() for sock in reused}
        poller.register(number, lambda mask: pytest.fail("a stale event"), READ | EDGE)

    poller.register(first.fileno(), handle, READ | EDGE)
    poller.register(second.fileno(), handle, READ | EDGE)
    far1.send(b"x")
    far2.send(b"x")
    poller.turn(1)
    assert len(calls) == 1
    for sock in (first, second, far1, far2, *reused):
        sock.close()


def test_timers_run_in_order_and_can_be_cancelled(poller):
    calls = []
    poller.call_later(0.02, lambda: calls.append("second"))
    poller.call_later(0.01, lambda: calls.append("first"))
    poller.call_later(0.015, lambda: calls.append("never")).cancel()
    poller.call_later(0.03, poller.stop)
    poller.run()
    assert calls == ["first", "second"]


def test_waiting_ends_with_the_next_timer(poller):
    poller.call_later(0.01, lambda: None)
    began = time.monotonic()
    poller.turn(60)
    assert time.monotonic() - began < 30


def test_soon_is_the_next_turn(poller):
    calls = []
    poller.soon(lambda: (calls.append(1), poller.soon(lambda: calls.append(2))))
    poller.turn(60)
    assert calls == [1]
    poller.turn(60)
    assert calls == [1, 2]


def test_a_defect_in_a_handler_is_reported_and_the_others_go_on(poller, errors, pair):
    left, right = pair

    def fail(mask=0):
        raise RuntimeError("defect")

    seen = []
    poller.register(left.fileno(), fail, READ)
    poller.register(right.fileno(), seen.append, READ)
    poller.soon(fail)
    poller.call_later(0, fail)
    left.send(b"x")
    right.send(b"x")
    poller.turn(1)
    poller.turn(0)
    assert len(seen) >= 1
    assert [str(error) for error in errors] == ["defect"] * 3, "and the descriptor is dropped, or it would go on"
