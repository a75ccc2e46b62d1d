import threading

import pytest

from vpn.proxy.background import Background
from vpn.proxy.poller import Poller


@pytest.fixture
def errors():
    return []


@pytest.fixture
def poller(errors):
    return Poller(errors.append)


@pytest.fixture
def background(poller):
    return Background(poller)


def until(poller, condition):
    for _ in range(100):
        if condition():
            return
        poller.turn(0.05)
    raise AssertionError("it did not come to that")


def test_work_is_done_elsewhere_and_its_result_told_here(poller, background):
    threads, results = [], []

    def work():
        threads.append(threading.current_thread())

    def done(result):
        threads.append(threading.current_thread())
        results.append(result)

    background.run(work, done)
    until(poller, lambda: results)
    assert threads[0] is not threads[1]
    assert threads[1] is threading.current_thread()
    assert results == [None]


def test_the_loop_goes_on_meanwhile_and_the_order_is_kept(poller, background):
    go, results, turns = threading.Event(), [], []
    background.run(lambda: go.wait(10) and None, lambda result: results.append(1))
    for number in range(2, 50):
        background.run(lambda: None, lambda result, number=number: results.append(number))
    poller.soon(lambda: turns.append(1))
    until(poller, lambda: turns)
    assert results == []
    go.set()
    until(poller, lambda: len(results) == 49)
    assert results == list(range(1, 50))


def test_what_goes_wrong_is_the_result(poller, background):
    results = []
    error = ValueError("defect")

    def work():
        raise error

    background.run(work, results.append)
    background.run(lambda: error, results.append)
    until(poller, lambda: len(results) == 2)
    assert results == [error, error]


def test_a_defect_in_one_answer_does_not_keep_the_others_from_theirs(poller, background, errors):
    results = []

    def fail(result):
        raise RuntimeError("defect")

    for done in (fail, results.append, fail, results.append):
        background.run(lambda: None, done)
    until(poller, lambda: len(results) == 2)
    background.run(lambda: None, results.append)
    until(poller, lambda: len(results) == 3)
    assert [str(error) for error in errors] == ["defect"] * 2
