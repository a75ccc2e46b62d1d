import pytest

from tests.support.clock import Clock
from vpn.domain.session import Session
from vpn.services import traffic as module
from vpn.services.live_sessions import Change, News
from vpn.services.traffic import NO_RATE, Rate, Traffic


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def traffic(clock):
    return Traffic(clock)


def session(number=1, user="alice", host="a.test", **fields):
    return Session(number, "main", "192.0.2.1", 4711, 1.0, user=user, host=host, **fields)


def second(traffic, clock, *, moved=(), ended=()):
    traffic.hear(News(0, [], [Change(*each) for each in moved], [Change(*each) for each in ended]))
    clock.now += 1
    traffic.turn()


def test_rates_are_taken_over_two_turns(traffic, clock):
    one, other = session(), session(2, user="bob")
    second(traffic, clock, moved=[(one, 100, 1000), (other, 0, 10)])
    assert traffic.of(1) == Rate(100, 1000)
    second(traffic, clock, moved=[(one, 0, 200), (one, 0, 300)])
    assert traffic.of(1) == Rate(50, 750)
    assert traffic.users() == {"alice": Rate(50, 750), "bob": Rate(0, 5)}
    assert traffic.destinations() == {"a.test": Rate(50, 755)}
    assert traffic.total() == Rate(50, 755)
    second(traffic, clock)
    second(traffic, clock)
    assert (traffic.of(1), traffic.users(), traffic.total()) == (NO_RATE, {}, NO_RATE)


def test_what_ended_counts_for_its_user_and_not_as_a_session(traffic, clock):
    second(traffic, clock, ended=[(session(status="closed", ended=2.0), 5, 7)])
    assert traffic.of(1) == NO_RATE
    assert traffic.users() == {"alice": Rate(5, 7)}


def test_a_turn_that_came_late_is_a_longer_one(traffic, clock):
    traffic.hear(News(0, [], [Change(session(), 0, 1000)], []))
    clock.now += 4
    traffic.turn()
    assert traffic.of(1) == Rate(0, 250)


def test_refusals_are_counted_and_the_last_kept(traffic, clock, monkeypatch):
    refused = [session(number, status="rejected_by_acl", ended=2.0) for number in range(60)]
    second(traffic, clock, ended=[(each, 0, 0) for each in refused] + [(session(status="failed", ended=2.0), 0, 0)])
    assert traffic.rejected == 60
    assert list(traffic.refused) == refused[-module.MOST_REFUSED :]


def test_there_are_only_so_many_names(traffic, clock, monkeypatch):
    monkeypatch.setattr(module, "MOST_NAMES", 3)
    second(traffic, clock, ended=[(session(host=f"{number}.test", ended=2.0), 1, 1) for number in range(9)])
    assert len(traffic.destinations()) == 3
    assert traffic.users() == {"alice": Rate(9, 9)}
