from hypothesis import given
from hypothesis import strategies as st

from vpn.services.metrics.top import EVER, OTHER, Top


def move(top, name, amount):
    row = top.rows.get(name) or top.add(name)
    row.score += amount
    row.count.sessions += 1
    row.count.sent += amount


def shown(top):
    return {name: count.sent for name, count in top.counts()}


def test_the_first_ones_are_shown_and_the_others_together():
    top = Top(2, 100)
    for name, amount in (("a", 1), ("b", 2), ("c", 3), ("d", 4), ("a", 5)):
        move(top, name, amount)
    assert shown(top) == {"a": 6, "b": 2, OTHER: 7}


def test_who_moves_twice_as_much_gets_the_place_and_begins_at_nothing():
    top = Top(1, 100)
    move(top, "a", 10)
    move(top, "b", 19)
    top.elect()
    assert shown(top) == {"a": 10, OTHER: 19}
    move(top, "b", 19)
    top.elect()
    assert shown(top) == {"b": 0, OTHER: 38}
    move(top, "b", 1)
    move(top, "a", 2)
    assert shown(top) == {"b": 1, OTHER: 40}


def test_who_comes_back_goes_on_from_the_old_count():
    top = Top(1, 100)
    move(top, "a", 10)
    move(top, "b", 1000)
    top.elect()
    move(top, "a", 100_000)
    top.elect()
    assert shown(top)["a"] == 10
    move(top, "a", 5)
    assert shown(top)["a"] == 15


def test_what_was_moved_long_ago_counts_less():
    top = Top(1, 100)
    move(top, "a", 1000)
    for _ in range(10):
        top.elect()
    move(top, "b", 10)
    top.elect()
    assert "b" in shown(top)


def test_the_places_change_hands_so_often_and_no_more():
    top = Top(1, 10_000)
    seen = set()
    for number in range(3 * EVER):
        move(top, f"user{number}", 10.0 ** (number + 1))
        top.elect()
        seen |= set(shown(top))
    assert len(seen - {OTHER}) == EVER


def test_no_more_are_known_than_may_be_and_the_shown_ones_stay():
    top = Top(2, 10)
    for number in range(1000):
        move(top, f"host{number}", number)
        assert len(top.rows) <= 10
    assert {"host0", "host1"} <= set(shown(top))
    assert sum(shown(top).values()) == sum(range(1000)), "what is forgotten has been counted"


def test_nothing_is_shown_where_nothing_may_be():
    top = Top(0, 10)
    move(top, "a", 1)
    top.elect()
    assert shown(top) == {OTHER: 1}


def test_one_that_is_called_other_is_with_the_others():
    top = Top(5, 10)
    move(top, OTHER, 3)
    top.elect()
    assert top.counts() == [(OTHER, top.other)]
    assert shown(top) == {OTHER: 3}


@given(st.lists(st.one_of(st.just("elect"), st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 100)))))
def test_no_count_ever_goes_back_and_nothing_is_lost(steps):
    top = Top(2, 5)
    last: dict[str, int] = {}
    moved = 0
    for step in steps:
        if step == "elect":
            top.elect()
        else:
            move(top, *step)
            moved += step[1]
        now = shown(top)
        assert len(now) <= 3
        assert all(now[name] >= last[name] for name in now if name in last)
        last |= now
        assert sum(last.values()) == moved
