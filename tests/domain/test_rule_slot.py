from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.rule_slot import END, lowest_rank, make_slot

NONE = 1000
places = st.sampled_from([0, 1, 80, 443, 65535, 65536, 65537, END - 2, END - 1])


@st.composite
def entries(draw):
    made = []
    for rank in range(draw(st.integers(1, 8))):
        first, last = sorted((draw(places), draw(places)))
        made.append((rank, first, last, draw(st.integers(0, 2))))
    return draw(st.permutations(made))


@given(entries(), places, st.sets(st.integers(1, 2)), st.integers(0, 9))
def test_the_lowest_rank_that_matches_is_found(entries, place, holding, before):
    slot = make_slot(entries, NONE)
    matching = [
        rank for rank, first, last, condition in entries if first <= place <= last and condition in {0, *holding}
    ]
    assert lowest_rank(slot, place, before, holding.__contains__) == min([before, *matching])


def test_a_condition_is_asked_only_where_it_matters():
    slot = make_slot([(0, 0, 99, 0), (1, 0, END - 1, 1)], NONE)
    asked = []

    def holds(condition):
        asked.append(condition)
        return True

    assert lowest_rank(slot, 50, NONE, holds) == 0
    assert asked == []
    assert lowest_rank(slot, 100, NONE, holds) == 1
    assert asked == [1]


def test_many_rules_take_no_more_room_than_their_number():
    slot = make_slot([(rank, rank, END - 1 - rank, 0) for rank in range(5000)], 5000)
    bounds, ranks, _ = slot
    assert len(bounds) < 10_001
    assert len(ranks) == len(bounds) + 1
