import pytest

from vpn.domain.request_rates import MOST_SOURCES, RequestRates


def ask(rates, source, now, each=3, total=100):
    return rates.wait(source, now, each=each, total=total)


def test_so_many_at_once_and_then_so_many_a_minute():
    rates = RequestRates()
    assert [ask(rates, "a", 0) for _ in range(4)] == [0, 0, 0, 20]
    assert ask(rates, "b", 0) == 0, "others are not concerned"
    assert ask(rates, "a", 15) == pytest.approx(5)
    assert ask(rates, "a", 20.001) == 0
    assert ask(rates, "a", 20.001) == pytest.approx(20, abs=0.01)


def test_nobody_saves_up():
    rates = RequestRates()
    assert [ask(rates, "a", 1000) for _ in range(4)] == [0, 0, 0, 20]
    assert [ask(rates, "a", 100_000) for _ in range(4)] == [0, 0, 0, 20]


def test_all_together_are_bounded():
    rates = RequestRates()
    assert [ask(rates, str(number), 0, total=2) for number in range(3)] == [0, 0, 30]
    assert ask(rates, "3", 30.001, total=2) == 0


def test_who_is_no_stranger_is_not_shut_out_by_strangers():
    rates = RequestRates()
    assert ask(rates, "known", 0, total=2) == 0
    rates.welcome("known")
    assert [ask(rates, str(number), 0, total=2) for number in range(2)] == [0, 30]
    assert [ask(rates, "known", 0, total=2) for _ in range(3)] == [0, 0, 20], "the own rate holds all the same"
    for number in range(MOST_SOURCES):
        rates.welcome(f"another {number}")
    assert ask(rates, "known", 60, total=1) == 0
    assert ask(rates, "known", 60, total=1) > 0, "forgotten"


def test_what_is_refused_is_not_paid_for():
    rates = RequestRates()
    for _ in range(10):
        ask(rates, "a", 0, each=1)
    assert ask(rates, "b", 0, total=10) == 0, "the nine that were refused took nothing from the others"


def test_other_rates_hold_at_once():
    rates = RequestRates()
    ask(rates, "a", 0, each=1)
    assert ask(rates, "a", 0, each=1) == 60
    assert ask(rates, "a", 1, each=60) == 0
    assert [ask(rates, "b", 1, each=100) for _ in range(3)] == [0, 0, 0]
    assert ask(rates, "b", 1, each=1) == 0, "what was left of a higher rate is no more than the new one"
    assert ask(rates, "b", 1, each=1) == 60


def test_few_sources_are_remembered():
    rates = RequestRates()
    ask(rates, "first", 0, each=1, total=10**9)
    for number in range(MOST_SOURCES):
        ask(rates, str(number), 0, each=1, total=10**9)
    assert len(rates._sources) == MOST_SOURCES
    assert ask(rates, "first", 0, each=1, total=10**9) == 0
