import os
import subprocess
import sys

import pytest

from vpn.proxy import limits
from vpn.proxy.limits import COLUMNS, EVERYTHING, Counters

RACER = """
import sys
from vpn.proxy.limits import Counters

counters = Counters(int(sys.argv[1]), int(sys.argv[2]))
places, own = counters.column(1, 1), counters._row * 256 + 2
cells, other = counters._cells, (1 - counters._row) * 256 + 2
both = 0
for turn in range(1, 2_001):
    cells[own] = turn  # meet the other one
    while cells[other] < turn:
        pass
    kept = places.take()
    cells[own + 1] = turn * 2 + kept
    while cells[other + 1] < turn * 2:
        pass
    both += kept and cells[other + 1] % 2
    if kept:
        places.give()
    cells[own + 2] = turn
    while cells[other + 2] < turn:
        pass
print(both, counters.total(1))
"""


@pytest.fixture
def memory():
    fd = limits.create(3)
    yield fd
    os.close(fd)


def test_of_two_processes_that_want_the_last_place_never_both_keep_it(memory):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(memory), str(row)], pass_fds=[memory], stdout=subprocess.PIPE, text=True
        )
        for row in range(2)
    ]
    said = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert [both for both, _ in said] == ["0", "0"]
    counters = Counters(memory)
    assert counters.total(1) == 0
    counters.close()


def test_what_one_worker_takes_another_does_not_get(memory):
    first, second = Counters(memory, 0), Counters(memory, 1)
    ours, theirs = first.column(5, 2), second.column(5, 2)
    assert ours.take()
    assert theirs.take()
    assert not ours.take()
    assert not theirs.take()
    ours.give()
    assert theirs.take()
    assert (first.total(5), second.total(5)) == (2, 2)


def test_columns_do_not_meet(memory):
    counters = Counters(memory, 2)
    assert counters.column(1, 1).take()
    assert counters.column(COLUMNS - 1, 1).take()
    assert [counters.total(column) for column in (EVERYTHING, 1, 2, COLUMNS - 1)] == [0, 1, 0, 1]


def test_no_limit_is_counted_too(memory):
    counters = Counters(memory)
    places = counters.column(EVERYTHING, 0)
    assert all(places.take() for _ in range(1000))
    assert counters.total(EVERYTHING) == 1000


def test_a_worker_that_is_gone_has_no_connections(memory):
    workers = [Counters(memory, row) for row in range(3)]
    for worker in workers:
        worker.column(EVERYTHING, 0).take()
        worker.column(COLUMNS - 1, 0).take()
    workers[0].clear(1)
    assert workers[0].total(EVERYTHING) == workers[0].total(COLUMNS - 1) == 2
    assert workers[1].column(EVERYTHING, 3).take()


def test_closing_gives_the_memory_back(memory):
    counters = Counters(memory)
    counters.column(1, 1).take()
    counters.close()
    with pytest.raises(ValueError, match="released"):
        counters.total(1)
