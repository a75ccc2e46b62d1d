import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.plane import accounts_in
from vpn.proxy.accounts import PLENTY, source_key
from vpn.proxy.control import SnapshotLimits, SnapshotUser
from vpn.proxy.meter import CONNECTIONS, DOWN, OPENED, RATE_DOWN, RATE_UP, STOP, UP, Meter, prepare

HOME, PHONE, THIRD = ("192.0.2.1", "2001:db8::1", "198.51.100.7")


class Workers:
    """Two workers that count the same users."""

    def __init__(self):
        self.fd = os.memfd_create("meter")
        prepare(self.fd, 2)
        self.meter = Meter(self.fd)
        self.users = {}
        self.accounts = [accounts_in(Meter(self.fd), worker) for worker in range(2)]

    def limit(self, **limits):
        self.users["alice"] = SnapshotUser("Alice", 1, slot=1, limits=SnapshotLimits(**limits))
        for each in self.accounts:
            each.amend(self.users.values(), self.users.get)

    def enter(self, worker, host=HOME, now=0.0, inbound="main"):
        return self.accounts[worker].of("ALICE", self.users.get).enter(*source_key(host), inbound, now)

    def leave(self, worker, host=HOME):
        self.accounts[worker].of("alice", self.users.get).leave(source_key(host)[0])


@pytest.fixture
def workers():
    workers = Workers()
    workers.limit()
    yield workers
    os.close(workers.fd)


def test_connections_are_limited_over_all_workers(workers):
    workers.limit(max_connections=2)
    assert [workers.enter(0), workers.enter(1)] == ["", ""]
    assert [workers.enter(0), workers.enter(1)] == ["too_many_connections_of_user"] * 2
    workers.leave(1)
    assert workers.enter(0) == ""
    assert workers.meter.total(1, CONNECTIONS) == 2
    assert workers.meter.total(1, OPENED) == 3


def test_a_place_is_never_given_twice(workers):
    """Taken first, counted then: from any number of threads, that many get in and no more."""
    workers.limit(max_connections=10)
    barrier = threading.Barrier(2)

    def crowd(worker):
        barrier.wait(5)
        return sum(not workers.enter(worker) for _ in range(500))

    with ThreadPoolExecutor(2) as threads:
        let_in = sum(threads.map(crowd, range(2)))
    assert 1 <= let_in <= 10
    assert workers.meter.total(1, CONNECTIONS) == let_in


def test_devices_are_distinct_addresses_over_all_workers(workers):
    workers.limit(max_devices=2)
    assert [workers.enter(0, HOME), workers.enter(1, HOME), workers.enter(1, PHONE)] == [""] * 3
    assert [workers.enter(0, THIRD), workers.enter(1, THIRD)] == ["too_many_devices"] * 2
    assert workers.enter(0, PHONE) == ""
    workers.leave(0, HOME)
    assert workers.enter(0, THIRD) == "too_many_devices"  # the other worker has a connection from there
    workers.leave(1, HOME)
    assert workers.enter(0, THIRD) == ""


def test_one_ipv6_network_is_one_device_and_so_is_one_address_in_two_notations(workers):
    workers.limit(max_devices=1)
    assert [workers.enter(0, "2001:db8::1"), workers.enter(1, "2001:db8::ffff:1")] == ["", ""]
    assert workers.enter(0, "2001:db8:0:1::1") == "too_many_devices"
    assert source_key("::ffff:192.0.2.1") == source_key("192.0.2.1")


def test_a_limit_on_devices_sees_who_was_there_before_it(workers):
    workers.enter(0, HOME)
    workers.enter(1, PHONE)
    workers.limit(max_devices=2)
    assert workers.enter(0, THIRD) == "too_many_devices"


def test_more_devices_than_there_are_cells_for(workers):
    hosts = [f"192.0.2.{number}" for number in range(1, 60)]
    assert {workers.enter(0, host) for host in hosts} == {""}
    workers.limit(max_devices=32)
    assert workers.enter(0, THIRD) == "too_many_devices"
    for host in hosts:
        workers.leave(0, host)
    assert workers.enter(0, THIRD) == ""


def test_new_connections_a_second_over_all_workers(workers):
    workers.limit(connection_rate=4)
    assert [workers.enter(number % 2, now=100.0) for number in range(6)] == [""] * 4 + ["too_many_new_connections"] * 2
    assert [workers.enter(number % 2, now=100.5) for number in range(4)] == [""] * 2 + ["too_many_new_connections"] * 2
    assert [workers.enter(number % 2, now=200.0) for number in range(5)] == [""] * 4 + ["too_many_new_connections"]


def test_the_rate_holds_in_the_long_run(workers):
    workers.limit(connection_rate=10)
    let_in = sum(not workers.enter(tick % 2, now=50 + tick / 100) for tick in range(1000))
    assert 100 <= let_in <= 111


def test_where_the_user_may_come_from_and_by(workers):
    workers.limit(sources=("192.0.2.0/24",), inbounds=("office",))
    assert workers.enter(0, PHONE, inbound="office") == "source_not_allowed"
    assert workers.enter(0, HOME, inbound="main") == "inbound_not_allowed"
    assert workers.enter(0, HOME, inbound="office") == ""


def test_who_was_refused_holds_nothing(workers):
    workers.limit(max_connections=1, max_devices=1, sources=("192.0.2.0/24",))
    for _ in range(3):
        assert workers.enter(0, PHONE) == "source_not_allowed"
    assert (workers.meter.total(1, CONNECTIONS), workers.meter.total(1, OPENED)) == (0, 0)
    assert workers.accounts[0].of("alice", workers.users.get).idle
    assert workers.enter(1, HOME) == ""


def test_a_budget_ends_where_the_daemon_says(workers):
    account = workers.accounts[0].of("alice", workers.users.get)
    other = workers.accounts[1].of("alice", workers.users.get)
    assert account.budget() == PLENTY
    workers.meter.cells[workers.meter.order(1) + STOP] = 100_000_000
    moved = 0
    while (budget := account.budget()) > 0:
        account.up.count(budget)
        moved += budget
        if (budget := other.budget()) > 0:
            other.down.count(budget)
            moved += budget
    assert moved == 100_000_000
    workers.meter.cells[workers.meter.order(1) + STOP] += 1
    assert other.budget() == 1


def test_two_that_move_at_the_same_time_go_too_far_by_little(workers):
    """Each asks, then both move: the worst that can happen."""
    accounts = [each.of("alice", workers.users.get) for each in workers.accounts]
    for stop in (1, 1000, 1_000_000, 3_000_000, 20_000_000):
        for account in accounts:
            account.cells[account.own + UP] = account.cells[account.own + DOWN] = 0
        workers.meter.cells[workers.meter.order(1) + STOP] = stop
        moved = 0
        while any(budgets := [max(0, min(account.budget(), 4 << 20)) for account in accounts]):
            for account, budget in zip(accounts, budgets, strict=True):
                account.down.count(budget)
            moved += sum(budgets)
        assert stop <= moved <= stop + 1


@pytest.mark.parametrize("quota", [1_000_000, 20_000_000, 64 << 20, 120 << 20])
def test_who_moves_late_what_he_was_allowed_early_goes_too_far_by_little(workers, quota):
    """One is stopped between asking and moving; the other moves all the rest meanwhile."""
    first, second = (each.of("alice", workers.users.get) for each in workers.accounts)
    workers.meter.cells[workers.meter.order(1) + STOP] = quota
    allowed = first.budget()
    while (budget := second.budget()) > 0:
        second.down.count(budget)
    first.down.count(allowed)
    assert quota < workers.meter.total(1, DOWN) <= quota + (1 << 19)


def test_another_user_under_an_old_name_begins_anew(workers):
    workers.enter(0)
    account = workers.accounts[0].of("alice", workers.users.get)
    workers.users["alice"] = SnapshotUser("alice", 2, slot=2)
    assert workers.accounts[0].moved("Alice", workers.users.get)
    workers.accounts[0].amend(workers.users.values(), workers.users.get)
    assert not workers.accounts[0].moved("Alice", workers.users.get)
    fresh = workers.accounts[0].of("alice", workers.users.get)
    assert (fresh is account, fresh.slot, fresh.idle) == (False, 2, True)


def test_who_is_no_user_of_ours_is_counted_where_nobody_looks(workers):
    account = workers.accounts[0].of("guest", workers.users.get)
    assert (account.slot, account.blocked, account.enter(*source_key(HOME), "main", 0.0)) == (0, "", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "255.255.255.255", "fe80::1%eth0", "ffff::", "", "x"])
def test_keys_fit_a_cell_and_are_never_nothing(host):
    key, _ = source_key(host)
    assert key
    assert -(2**63) <= key < 2**63


def test_the_users_burst_holds_in_both_directions(workers):
    cells, order = workers.meter.cells, workers.meter.order(1)
    cells[order + RATE_DOWN] = cells[order + RATE_UP] = 1000
    account = workers.accounts[0].of("alice", workers.users.get)
    assert account.down.allowance() == account.up.allowance() == 16 * 1024
    workers.limit(burst=5000)
    assert account.down.allowance() == account.up.allowance() == 5000
