"""Places counted over several processes."""

import os
import subprocess
import sys

import pytest

from vpn.proxy.limits import EVERYTHING, Counters, create

WORKERS = 4

# Takes the one place over and over. Whoever has it says so in a column of its own, and looks whether anybody
# else says so too: it has the place all the while, so nobody may.
HAMMER = """
import sys
from vpn.proxy.limits import Counters

memory, row, tries = map(int, sys.argv[1:])
counters = Counters(memory, row)
place, holder = counters.column(0, 1), counters.column(1, 0)
print("ready", flush=True)
sys.stdin.readline()
had = both = 0
for _ in range(tries):
    if place.take():
        holder.take()
        both += counters.total(1) != 1
        had += 1
        holder.give()
        place.give()
print(had, both)
"""


@pytest.fixture
def memory():
    fd = create(WORKERS)
    yield fd
    os.close(fd)


def test_workers_that_race_for_the_last_place_never_both_get_it(memory):
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", HAMMER, str(memory), str(row), "200000"],
            pass_fds=[memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for row in range(WORKERS)
    ]
    for process in racing:
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [tuple(map(int, process.communicate(timeout=60)[0].split())) for process in racing]
    assert sum(both for _, both in results) == 0
    assert sum(had for had, _ in results) > 0
    counters = Counters(memory)
    assert counters.total(EVERYTHING) == 0, "every place was given back"
    counters.close()


def test_places_are_one_column_over_all_workers(memory):
    first, second = Counters(memory, 0), Counters(memory, 1)
    ours, theirs = first.column(7, 3), second.column(7, 3)
    assert [ours.take(), theirs.take(), ours.take(), theirs.take(), ours.take()] == [True, True, True, False, False]
    ours.give()
    assert theirs.take()
    assert (first.total(7), first.total(EVERYTHING)) == (3, 0)
    del ours, theirs
    first.close()
    second.close()


def test_the_places_of_a_worker_that_died_are_free_again(memory):
    counters, dead = Counters(memory, 0), Counters(memory, 1)
    theirs = dead.column(EVERYTHING, 2)
    assert theirs.take() and theirs.take()
    places = counters.column(EVERYTHING, 2)
    assert not places.take()
    counters.clear(1)
    assert places.take()
    del theirs, places
    counters.close()
    dead.close()


def test_no_limit_counts_all_the_same(memory):
    counters = Counters(memory)
    places = counters.column(EVERYTHING, 0)
    assert all(places.take() for _ in range(1000))
    assert counters.total(EVERYTHING) == 1000
    del places
    counters.close()
