from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.limits import Limits, Shared
from vpn.domain.shaping import LEAST, Asker, Branch, Claim, Sharer, allocate, estimate, plan

MBIT = 125_000
CLOSE = 1 + 1e-9

RATES = st.one_of(st.just(inf), st.integers(1, 200 * MBIT))
CLAIMS = st.builds(Claim, RATES, st.integers(0, 100 * MBIT), st.integers(1, 1000), st.integers(0, 7))
ASKERS = st.builds(Asker, CLAIMS, st.one_of(st.just(inf), st.integers(0, 300 * MBIT)))
TREES = st.lists(st.builds(Branch, CLAIMS, st.lists(ASKERS, min_size=1, max_size=5)), min_size=1, max_size=5)
TOTALS = st.integers(1, 500 * MBIT)


def alone(claim=None, wanted=inf):
    """A user that shares with no group."""
    claim = claim or Claim()
    return Branch(claim, [Asker(claim, wanted)])


def group(*askers, **claim):
    return Branch(Claim(**claim), [Asker(each, inf) if isinstance(each, Claim) else each for each in askers])


def rates(most, *branches):
    return [round(rate) for rates in allocate(most, branches) for rate in rates]


def wanted(asker):
    return min(max(asker.wanted, LEAST), asker.claim.maximum)


def test_equal_users_get_equal_rates():
    assert rates(100, *[alone() for _ in range(4)]) == [25] * 4


def test_shares_are_weights():
    assert rates(100 * MBIT, alone(Claim(share=3)), alone(Claim(share=1))) == pytest.approx(
        [75 * MBIT, 25 * MBIT], rel=1e-3
    )


def test_nobody_gets_more_than_the_maximum_and_the_others_have_the_rest():
    assert rates(100 * MBIT, alone(Claim(10 * MBIT)), alone()) == [10 * MBIT, 90 * MBIT]


def test_what_is_not_wanted_is_lent():
    first, second = rates(100 * MBIT, alone(wanted=10 * MBIT), alone())
    assert (first, second) == (10 * MBIT, 90 * MBIT)


def test_what_nobody_wants_is_there_for_all():
    assert rates(100 * MBIT, alone(wanted=20 * MBIT), alone(wanted=40 * MBIT)) == [40 * MBIT, 60 * MBIT]


def test_guarantees_come_first_and_are_lent_while_not_wanted():
    guaranteed = Claim(guaranteed=60 * MBIT)
    flood = [alone(Claim(priority=7)) for _ in range(3)]
    assert rates(90 * MBIT, alone(guaranteed), *flood)[0] == 60 * MBIT
    assert rates(90 * MBIT, alone(guaranteed, wanted=0), *flood) == [LEAST] + [round((90 * MBIT - LEAST) / 3)] * 3


def test_guarantees_that_exceed_what_there_is_are_cut_in_proportion():
    assert rates(90 * MBIT, alone(Claim(guaranteed=200 * MBIT)), alone(Claim(guaranteed=100 * MBIT))) == [
        60 * MBIT,
        30 * MBIT,
    ]


def test_higher_priorities_are_served_first():
    high, low, lowest = rates(100 * MBIT, alone(Claim(priority=7), 80 * MBIT), alone(Claim(priority=1)), alone(Claim()))
    assert high == 80 * MBIT
    assert low == 20 * MBIT - LEAST
    assert lowest == LEAST


def test_a_group_has_its_rate_together():
    assert rates(inf, group(Claim(), Claim(), maximum=10 * MBIT), group(Claim(), maximum=MBIT)) == [
        5 * MBIT,
        5 * MBIT,
        MBIT,
    ]


def test_users_guarantees_are_kept_though_their_group_has_none():
    crowd = group(*[Claim() for _ in range(50)], share=1000)
    assert rates(100 * MBIT, group(Claim(guaranteed=30 * MBIT), Claim()), crowd)[0] >= 30 * MBIT


def test_without_any_limit_there_is_none():
    assert allocate(inf, [alone()]) == [[inf]]
    assert allocate(inf, []) == []


@given(TOTALS, TREES)
def test_no_maximum_is_exceeded(most, branches):
    found = allocate(most, branches)
    assert sum(map(sum, found)) <= most * CLOSE
    for branch, given_ in zip(branches, found, strict=True):
        assert sum(given_) <= branch.claim.maximum * CLOSE
        for asker, rate in zip(branch.askers, given_, strict=True):
            assert 0 < rate <= asker.claim.maximum * CLOSE


@given(TOTALS, TREES)
def test_guarantees_are_kept_where_they_can_be(most, branches):
    def floor(asker):
        return min(wanted(asker), max(asker.claim.guaranteed, LEAST))

    floors = [[floor(asker) for asker in branch.askers] for branch in branches]
    own = [max(branch.claim.guaranteed, sum(each)) for branch, each in zip(branches, floors, strict=True)]
    found = allocate(most, branches)
    fits = sum(own) <= most
    for branch, given_, each in zip(branches, found, floors, strict=True):
        if fits and sum(each) <= branch.claim.maximum:
            asked = min(branch.claim.guaranteed, branch.claim.maximum, sum(map(wanted, branch.askers)))
            assert sum(given_) >= asked / CLOSE
            for rate, least in zip(given_, each, strict=True):
                assert rate >= least / CLOSE


@given(TOTALS, TREES)
def test_nothing_is_kept_back_from_who_wants_it(most, branches):
    found = allocate(most, branches)
    if sum(map(sum, found)) >= most / CLOSE:
        return
    for branch, given_ in zip(branches, found, strict=True):
        if sum(given_) < branch.claim.maximum / CLOSE:
            for asker, rate in zip(branch.askers, given_, strict=True):
                assert rate >= asker.claim.maximum / CLOSE


@given(TOTALS, CLAIMS, st.integers(2, 6), TREES)
def test_the_same_claim_gets_the_same_rate(most, claim, count, others):
    found = allocate(most, [Branch(Claim(), [Asker(claim, inf)] * count), *others])
    assert found[0] == pytest.approx([found[0][0]] * count)


@given(TOTALS, st.lists(ASKERS, min_size=2, max_size=6))
def test_priority_is_strict(most, askers):
    """Who wants more in a higher class leaves nothing to a lower one but what is guaranteed."""
    found = allocate(most, [Branch(Claim(), askers)])[0]
    unmet = [
        asker.claim.priority for asker, rate in zip(askers, found, strict=True) if rate < wanted(asker) / CLOSE - 1
    ]
    for asker, rate in zip(askers, found, strict=True):
        if unmet and asker.claim.priority < max(unmet):
            assert rate <= max(asker.claim.guaranteed, LEAST) * CLOSE + 1


@given(TOTALS, TREES, st.data())
def test_who_wants_more_gets_no_less(most, branches, data):
    chosen = data.draw(st.integers(0, len(branches) - 1))
    before = allocate(most, branches)
    askers = list(branches[chosen].askers)
    place = data.draw(st.integers(0, len(askers) - 1))
    askers[place] = askers[place]._replace(wanted=askers[place].wanted + data.draw(st.integers(1, 100 * MBIT)))
    after = allocate(most, [*branches[:chosen], branches[chosen]._replace(askers=askers), *branches[chosen + 1 :]])
    assert after[chosen][place] >= before[chosen][place] / CLOSE - 1e-6


def test_an_estimate_leaves_room_to_grow_and_outlasts_a_pause():
    assert estimate(100_000, 0.1, before=0) > 1_000_000
    assert 100 < estimate(0, 0.1, before=1000) < 1000
    assert estimate(0, 2, before=1_000_000) < LEAST


def test_a_plan_tells_who_shares_and_who_does_not():
    users = [
        Sharer(1, (), Limits(down=8000)),
        Sharer(2, ("staff",), Limits(down=16_000, down_guaranteed=800, share=3, priority=2)),
        Sharer(3, ("other", "staff"), Limits()),
        Sharer(4, ("other",), Limits()),
    ]
    groups = {"staff": Shared(down=80_000), "other": Shared()}
    down = plan(users, groups, 0, "down")
    assert down.alone == {1: 1000, 4: 0}
    assert down.branches == [(Claim(10_000), {2: Claim(2000, 100, 3, 2), 3: Claim()})]
    up = plan(users, groups, 0, "up")
    assert up.alone == {1: 0, 2: 0, 3: 0, 4: 0}
    assert up.branches == []


def test_under_a_total_everybody_shares():
    users = [Sharer(1, (), Limits(up=8000)), Sharer(2, ("staff",), Limits()), Sharer(3, (), Limits())]
    found = plan(users, {"staff": Shared(up_guaranteed=8)}, 80_000, "up")
    assert found.most == 10_000
    assert found.alone == {}
    assert found.branches == [
        (Claim(1000), {1: Claim(1000)}),
        (Claim(guaranteed=1), {2: Claim()}),
        (Claim(), {3: Claim()}),
    ]


def test_a_rate_below_a_byte_is_still_a_limit():
    assert plan([Sharer(1, (), Limits(down=1))], {}, 0, "down").alone == {1: 1}
