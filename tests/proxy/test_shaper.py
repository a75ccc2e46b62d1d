"""The shaper with a real meter; the test is all workers."""

import asyncio
import os
from math import inf

import pytest

from tests.support.supervised import Log, until
from vpn.domain.shaping import LEAST, Claim, Plan
from vpn.proxy.meter import DOWN, HUNGRY_DOWN, RATE_DOWN, RATE_UP, SPENT_DOWN, UP, Meter, prepare
from vpn.proxy.shaper import Shaper

pytestmark = pytest.mark.anyio
MBIT = 125_000
ALONE = Plan(inf, {}, [])


class Workers:
    """What two workers have counted, and what they are told."""

    def __init__(self):
        self.fd = os.memfd_create("meter")
        prepare(self.fd, 2)
        self.meter = Meter(self.fd)
        self.log = Log()
        self.shaper = Shaper(self.meter, self.log)

    def down(self, *slots):
        return [self.meter.cells[self.meter.order(slot) + RATE_DOWN] for slot in slots]

    def up(self, *slots):
        return [self.meter.cells[self.meter.order(slot) + RATE_UP] for slot in slots]

    def count(self, slot, what, amount=1, worker=0):
        self.meter.cells[self.meter.count(worker, slot) + what] += amount

    def follow(self, down, up=ALONE):
        self.shaper.follow(down, up)


@pytest.fixture
async def workers():
    workers = Workers()
    workers.shaper.start()
    yield workers
    workers.shaper.stop()
    workers.meter.close()
    os.close(workers.fd)
    assert workers.log.lines == []


def group(*slots, maximum=100 * MBIT, **claim):
    return Plan(inf, {}, [(Claim(maximum), {slot: Claim(**claim) for slot in slots})])


async def flood(workers, until_so, *slots, seconds=5):
    """These users have to wait in turn in two workers, and workers say so, until something is so."""
    async with asyncio.timeout(seconds):
        while not until_so():
            for number, slot in enumerate(slots):
                workers.count(slot, HUNGRY_DOWN, worker=number % 2)
            workers.shaper.wake()
            await asyncio.sleep(0.01)


async def test_who_shares_with_nobody_has_his_rate_in_each_direction(workers):
    workers.follow(Plan(inf, {1: 1000, 2: 0}, []), Plan(inf, {1: 0, 2: 500}, []))
    assert (workers.down(1, 2), workers.up(1, 2)) == ([1000, 0], [0, 500])
    workers.follow(Plan(inf, {1: 0, 2: 300}, []))
    assert workers.down(1, 2) == [0, 300]


async def test_before_anybody_does_anything_all_together_have_what_there_is(workers):
    workers.follow(group(1, 2, 3, 4))
    assert workers.down(1, 2, 3, 4) == [25 * MBIT] * 4


async def test_what_the_idle_do_not_want_is_lent_to_who_has_to_wait(workers):
    workers.follow(group(1, 2, 3, 4))
    await flood(workers, lambda: workers.down(1)[0] == 100 * MBIT, 1)
    assert workers.down(2, 3, 4) == [LEAST] * 3


async def test_two_that_have_to_wait_share_and_a_third_gets_what_is_his(workers):
    workers.follow(group(1, 2, 3))
    await flood(workers, lambda: workers.down(1, 2) == [50 * MBIT] * 2, 1, 2)
    await flood(workers, lambda: workers.down(1, 2, 3) == [100 * MBIT // 3] * 3, 1, 2, 3)


async def test_a_guarantee_is_there_as_soon_as_it_is_wanted(workers):
    claims = {1: Claim(guaranteed=60 * MBIT), 2: Claim(priority=7), 3: Claim(priority=7)}
    workers.follow(Plan(inf, {}, [(Claim(100 * MBIT), claims)]))
    await flood(workers, lambda: workers.down(2)[0] > 49 * MBIT, 2, 3)
    await flood(workers, lambda: workers.down(1)[0] >= 60 * MBIT, 1, 2, 3)


async def test_who_moves_without_waiting_is_left_room(workers):
    workers.follow(group(1, 2))

    def moving():
        workers.count(2, DOWN, 20 * MBIT // 100)
        low, high = workers.down(2, 1)
        return 5 * MBIT < low < 60 * MBIT and low + high <= 100 * MBIT and high > 40 * MBIT

    await flood(workers, moving, 1)


async def test_when_nobody_waits_any_more_everybody_has_something_and_nothing_is_done(workers):
    workers.follow(group(1, 2))
    await flood(workers, lambda: workers.down(1)[0] == 100 * MBIT, 1)
    await until(lambda: workers.down(2)[0] > LEAST)
    assert sum(workers.down(1, 2)) <= 100 * MBIT
    assert not workers.shaper._hungry.is_set()


async def test_all_have_the_total_together(workers):
    workers.follow(Plan(100 * MBIT, {}, [(Claim(), {1: Claim(), 2: Claim()}), (Claim(), {0: Claim()})]))
    await flood(workers, lambda: workers.down(0)[0] < 51 * MBIT and workers.down(1)[0] > 24 * MBIT, 0, 1, 2)
    assert workers.down(0, 1, 2) == pytest.approx([50 * MBIT, 25 * MBIT, 25 * MBIT], rel=0.001)


async def test_another_plan_holds_at_once_while_somebody_waits(workers):
    workers.follow(group(1, 2))
    await flood(workers, lambda: workers.down(1)[0] == 100 * MBIT, 1)
    workers.count(1, HUNGRY_DOWN)
    workers.follow(group(1, 2, maximum=10 * MBIT))
    assert workers.down(1)[0] > 9 * MBIT
    assert sum(workers.down(1, 2)) <= 10 * MBIT + LEAST
    workers.follow(Plan(inf, {1: 0, 2: 0}, []))
    assert workers.down(1, 2) == [0, 0]


async def test_what_was_moved_before_somebody_shared_is_not_what_he_wants(workers):
    workers.count(1, DOWN, 1 << 50)
    workers.count(1, HUNGRY_DOWN, 1000)
    workers.follow(group(1, 2))
    assert workers.down(1, 2) == [50 * MBIT] * 2


async def test_a_claim_below_a_byte_is_no_freedom(workers):
    workers.follow(group(1, 2, maximum=1))
    assert workers.down(1, 2) == [1, 1]


async def test_a_debt_in_bytes_stays_one_when_the_rate_rises(workers):
    workers.follow(Plan(inf, {1: 1000}, []))
    cell = workers.meter.order(1) + SPENT_DOWN
    workers.meter.cells[cell] = far = 1 << 62
    workers.follow(Plan(inf, {1: 1_000_000}, []))
    assert workers.meter.cells[cell] < far // 500
    workers.meter.cells[cell] = far
    workers.follow(Plan(inf, {1: 1000}, []))
    assert workers.meter.cells[cell] == far


async def test_what_was_spent_before_the_machine_was_started_is_forgotten(workers):
    cell = workers.meter.order(1) + SPENT_DOWN
    workers.meter.cells[cell] = 1 << 60
    workers.follow(Plan(inf, {1: 1000}, []))
    assert workers.meter.cells[cell] == 0


async def test_nobody_who_shares_nothing_keeps_it_busy(workers):
    workers.follow(Plan(inf, {1: 1000}, []))
    workers.shaper.wake()
    assert not workers.shaper._hungry.is_set()


async def test_directions_are_told_apart(workers):
    workers.follow(group(1, 2), group(1, 2, maximum=10 * MBIT))
    workers.count(2, UP, 1000)
    await flood(workers, lambda: workers.down(1)[0] == 100 * MBIT, 1)
    assert sum(workers.up(1, 2)) <= 10 * MBIT + LEAST
