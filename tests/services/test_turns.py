import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.services.turns import Turns

pytestmark = pytest.mark.anyio


def served(tickets):
    return [ticket for ticket in tickets if ticket.turn.done() and ticket.turn.result()]


def turns(places, most=10, reserved=0):
    return Turns(places, reserved=reserved, most=most)


async def test_places_are_taken_and_given_on():
    queue = turns(2)
    first, second, third = [queue.ask((0, 0)) for _ in range(3)]
    assert served([first, second, third]) == [first, second]
    queue.give()
    assert third.turn.result() is True
    queue.give()
    queue.give()
    assert len(served([queue.ask((0, 0)) for _ in range(3)])) == 2


async def test_who_stands_better_goes_first_and_a_standing_may_get_better():
    queue = turns(1)
    queue.ask((0, 0))
    poor, good, known = queue.ask((3, 1)), queue.ask((0, 1)), queue.ask((0, 0))
    queue.give()
    assert served([poor, good, known]) == [known]
    poor.standing = (0, 0)
    queue.give()
    assert served([poor, good]) == [poor]


async def test_of_two_that_stand_alike_the_earlier_one_goes_first_and_the_later_one_is_sent_away():
    queue = turns(1, most=2)
    queue.ask((0, 0))
    first, second, third = [queue.ask((1, 0)) for _ in range(3)]
    assert third.turn.result() is False
    queue.give()
    assert served([first, second]) == [first]


async def test_the_queue_is_bounded_and_the_worst_is_sent_away():
    queue = turns(1, most=2)
    queue.ask((0, 0))
    worst, other, best = queue.ask((9, 0)), queue.ask((5, 0)), queue.ask((0, 0))
    assert worst.turn.result() is False
    assert queue.ask((6, 0)).turn.result() is False
    queue.give()
    queue.give()
    assert served([best, other]) == [best, other]


async def test_a_reserved_place_is_kept_for_those_against_whom_nothing_is_held():
    queue = turns(2, reserved=1)
    suspects = [queue.ask((1, 0)) for _ in range(3)]
    assert len(served(suspects)) == 1
    good = queue.ask((0, 2))
    assert good.turn.result() is True
    queue.give()
    assert len(served(suspects)) == 1, "one of the two that are under way is a suspect's, or may be"
    queue.give()
    assert len(served(suspects)) == 2


async def test_who_does_not_wait_any_more_is_passed_over():
    queue = turns(1)
    queue.ask((0, 0))
    gone, there = queue.ask((0, 0)), queue.ask((1, 0))
    gone.turn.cancel()
    queue.give()
    assert there.turn.result() is True


@given(
    st.integers(1, 3),
    st.integers(0, 1),
    st.integers(1, 4),
    st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=40),
)
def test_never_more_than_the_places_and_nobody_is_forgotten(places, reserved, most, steps):
    async def run():
        queue, tickets, over = turns(places, most, reserved), [], 0
        for standing in steps:
            if standing is not None:
                tickets.append(queue.ask((standing, 0)))
            elif len(served(tickets)) > over:
                queue.give()
                over += 1
            waiting = [ticket for ticket in tickets if not ticket.turn.done()]
            free = places - (len(served(tickets)) - over)
            assert free >= 0
            assert len(waiting) <= most
            assert not waiting or free <= reserved
            assert not any(ticket.standing[0] == 0 for ticket in waiting) or free == 0

    asyncio.run(run())
