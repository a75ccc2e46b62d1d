import heapq
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.proxy.poller import Timer
from vpn.proxy.shaping import ENDLESS, LEAST_BURST, Lane, Lanes

MBIT = 125_000
RATE, SPENT, HUNGRY, FIRST = range(4)


class Clock:
    """Time that passes when the test says so, in steps of a millisecond as epoll has them."""

    def __init__(self):
        self.now = 1000.0
        self._timers = []
        self._order = count()

    def call_later(self, seconds, callback):
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), timer))
        return timer

    def advance(self, seconds):
        for _ in range(round(seconds * 1000)):
            self.now += 0.001
            while self._timers and self._timers[0][0] <= self.now:
                callback = heapq.heappop(self._timers)[2].callback
                if callback is not None:
                    callback()


class User:
    """One direction of one user, in as many workers as there are lanes."""

    def __init__(self, rate=0, workers=1, burst=0):
        self.clock = Clock()
        self.cells = memoryview(bytearray(8 * (FIRST + workers))).cast("q")
        self.told = 0
        self.cells[RATE] = rate
        self.lanes = []
        for worker in range(workers):
            lane = Lane(Lanes(self.cells, self.clock, self.tell), RATE, SPENT, FIRST + worker, HUNGRY)
            lane.set_burst(burst)
            self.lanes.append(lane)

    def tell(self):
        self.told += 1

    @property
    def moved(self):
        return sum(self.cells[FIRST:].tolist())


class Flow:
    """A connection that always has more, and moves at most `size` bytes at a time."""

    def __init__(self, user, worker=0, size=65536):
        self.user = user
        self.worker = worker
        self.size = size
        self.moved = 0
        self.turns = 0
        self.ended = False

    def go(self):
        lane = self.user.lanes[self.worker]
        self.turns += 1
        for _ in range(4):
            room = lane.allowance()
            if not room:
                lane.wait(self, self.go)
                return
            self.move(min(room, self.size))
        self.user.clock.call_later(0.0005, self.go)

    def move(self, amount):
        self.moved += amount
        self.user.lanes[self.worker].count(amount)


def run(user, flows, seconds):
    """What each flow moved in this time."""
    before = [flow.moved for flow in flows]
    user.clock.advance(seconds)
    return [flow.moved - earlier for flow, earlier in zip(flows, before, strict=True)]


def test_without_a_rate_anything_goes_and_nobody_waits():
    user = User()
    assert user.lanes[0].allowance() == ENDLESS
    assert user.cells[HUNGRY] == user.told == 0


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("rate", [MBIT, 100 * MBIT, 1000 * MBIT])
def test_a_rate_is_kept_over_all_workers_and_connections(rate, workers):
    user = User(rate, workers)
    flows = [Flow(user, worker, 1 << 20) for worker in range(workers) for _ in range(2)]
    for flow in flows:
        flow.go()
    assert sum(run(user, flows, 5)) == pytest.approx(5 * rate, rel=0.05)


def test_workers_that_spend_the_same_tokens_owe_them():
    user = User(MBIT, workers=2)
    rooms = [lane.allowance() for lane in user.lanes]
    assert rooms[0] == rooms[1] > 0
    for worker, room in enumerate(rooms):
        user.lanes[worker].count(room)
    first = Flow(user)
    first.go()
    assert run(user, [first], rooms[0] / MBIT) == [0]


def test_connections_of_one_user_get_the_same():
    user = User(10 * MBIT)
    flows = [Flow(user, size=size) for size in (1 << 20, 1 << 20, 1 << 20, 1 << 20)]
    for flow in flows:
        flow.go()
    moved = run(user, flows, 5)
    assert max(moved) <= 1.1 * min(moved)


def test_no_worker_is_always_first():
    user = User(MBIT, workers=4)
    flows = [Flow(user, worker) for worker in range(4)]
    for flow in flows:
        flow.go()
    moved = run(user, flows, 60)
    assert max(moved) <= 1.5 * min(moved)


@pytest.mark.parametrize("burst", [1, 100, LEAST_BURST, 5000])
def test_a_burst_below_one_read_does_not_stall(burst):
    user = User(MBIT, burst=burst)
    flow = Flow(user)
    flow.go()
    assert run(user, [flow], 5)[0] == pytest.approx(5 * MBIT, rel=0.05)


def test_what_goes_at_once_after_a_pause_is_the_burst():
    user = User(MBIT, burst=50_000)
    user.clock.advance(10)
    assert user.lanes[0].allowance() == 50_000
    user.lanes[0].set_burst(20_000)
    assert user.lanes[0].allowance() == 20_000


def test_a_burst_too_small_for_the_rate_does_not_slow_it_down():
    user = User(1000 * MBIT, burst=LEAST_BURST)
    flow = Flow(user, size=1 << 20)
    flow.go()
    assert run(user, [flow], 2)[0] == pytest.approx(2000 * MBIT, rel=0.05)


def test_one_datagram_larger_than_the_tokens_is_owed():
    user = User(MBIT, burst=LEAST_BURST)
    lane = user.lanes[0]
    assert 0 < lane.allowance() < 60_000
    lane.count(60_000)
    assert lane.allowance() == 0
    woken = []
    lane.wait("flow", lambda: woken.append(user.clock.now))
    user.clock.advance(0.4)
    assert not woken
    user.clock.advance(0.2)
    assert woken


@pytest.mark.parametrize(("before", "after"), [(1000, 1), (1, 1000), (8, 4)])
def test_another_rate_holds_at_once_for_flows_that_wait(before, after):
    user = User(before * MBIT, workers=2)
    flows = [Flow(user, worker, 1 << 20) for worker in range(2)]
    for flow in flows:
        flow.go()
    run(user, flows, 2)
    user.cells[RATE] = after * MBIT
    run(user, flows, 0.2)
    assert sum(run(user, flows, 5)) == pytest.approx(5 * after * MBIT, rel=0.06)


def test_a_flow_that_waits_goes_on_when_there_is_no_rate_any_more():
    user = User(1)
    lane = user.lanes[0]
    lane.count(lane.allowance())
    woken = []
    lane.wait("flow", lambda: woken.append(lane.allowance()))
    user.clock.advance(5)
    assert not woken
    user.cells[RATE] = 0
    user.clock.advance(0.1)
    assert woken == [ENDLESS]


def test_what_went_before_there_was_a_rate_is_nobodys_debt():
    user = User(workers=2)
    user.lanes[0].count(1 << 40)
    user.cells[RATE] = MBIT
    assert all(lane.allowance() for lane in user.lanes)


def test_a_moment_from_before_the_machine_was_started_means_nothing():
    user = User(MBIT)
    user.cells[SPENT] = int((user.clock.now + 86_400) * 1e9)
    flow = Flow(user)
    flow.go()
    assert sum(run(user, [flow], 5)) == pytest.approx(5 * MBIT, rel=0.05)


def test_who_does_not_wait_any_more_gets_no_turn():
    user = User(MBIT)
    user.lanes[0].count(user.lanes[0].allowance())
    first, second = Flow(user), Flow(user)
    first.go()
    second.go()
    user.lanes[0].cancel(first)
    user.lanes[0].cancel(first)
    run(user, [first, second], 1)
    assert first.turns == 1
    assert second.moved


def test_who_comes_later_does_not_overtake_those_who_wait():
    user = User(MBIT)
    lane = user.lanes[0]
    lane.count(lane.allowance())
    turns = []
    lane.wait("first", lambda: turns.append("first"))
    user.clock.now += 10
    assert lane.allowance() == 0
    lane.wait("second", lambda: turns.append("second"))
    user.clock.advance(0.1)
    assert turns == ["first", "second"]


def test_a_flow_that_breaks_does_not_stop_the_others():
    user = User(MBIT)
    user.lanes[0].count(user.lanes[0].allowance())

    def broken():
        raise ValueError("a defect")

    user.lanes[0].wait("broken", broken)
    flow = Flow(user)
    flow.go()
    with pytest.raises(ValueError, match="a defect"):
        user.clock.advance(1)
    user.clock.advance(1)
    assert flow.moved


def test_who_waits_is_noticed():
    user = User(MBIT)
    flow = Flow(user)
    flow.go()
    marks = user.cells[HUNGRY]
    assert marks
    user.clock.advance(0.2)
    assert user.cells[HUNGRY] >= marks + 2
    assert 0 < user.told < user.cells[HUNGRY]


@given(
    st.integers(1, 4),
    st.integers(1000, 2000 * MBIT),
    st.integers(0, 1 << 20),
    st.lists(st.integers(512, 1 << 20), min_size=1, max_size=6),
)
def test_never_more_goes_than_the_rate_and_the_bursts(workers, rate, burst, sizes):
    user = User(rate, workers, burst)
    for place, size in enumerate(sizes):
        Flow(user, place % workers, size).go()
    user.clock.advance(0.3)
    usual = max(16 * 1024, rate * 0.02, burst, LEAST_BURST)
    assert user.moved <= rate * 0.301 + usual * workers + 1
