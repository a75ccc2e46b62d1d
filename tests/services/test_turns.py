import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.services.turns import Turns

pytestmark = pytest.mark.anyio


def served(tickets):
    return [ticket for ticket in tickets if ticket.turn.done() and ticket.turn.result()]


async def test_places_are_taken_and_given_on_in_order():
    turns = Turns(2, 10)
    first, second, third, fourth = [turns.ask((0, True)) for _ in range(4)]
    assert served([first, second, third, fourth]) == [first, second]
    turns.give()
    assert third.turn.result() is True
    assert not fourth.turn.done()
    turns.give()
    turns.give()
    turns.give()
    assert served([turns.ask((0, True)) for _ in range(3)]) != []


async def test_who_stands_better_goes_first_and_a_standing_may_get_better():
    turns = Turns(1, 10)
    turns.ask((0, True))
    poor, good, known = turns.ask((3, True)), turns.ask((0, True)), turns.ask((0, False))
    turns.give()
    assert served([poor, good, known]) == [known]
    poor.standing = (0, False)
    turns.give()
    assert served([poor, good]) == [poor]


async def test_the_queue_is_bounded_and_the_worst_is_sent_away():
    turns = Turns(1, 2)
    turns.ask((0, True))
    worst, other = turns.ask((9, True)), turns.ask((5, True))
    best = turns.ask((0, True))
    assert worst.turn.result() is False
    last = turns.ask((5, True))
    assert last.turn.result() is False, "of two that stand alike, the later one"
    turns.give()
    turns.give()
    assert served([best, other]) == [best, other]


@given(st.integers(1, 3), st.integers(1, 4), st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=40))
def test_never_more_than_the_places_and_nobody_is_forgotten(places, most, steps):
    async def run():
        turns, tickets, over = Turns(places, most), [], 0
        for standing in steps:
            if standing is not None:
                tickets.append(turns.ask((standing, True)))
            elif len(served(tickets)) > over:
                turns.give()
                over += 1
            waiting = [ticket for ticket in tickets if not ticket.turn.done()]
            assert len(served(tickets)) - over <= places
            assert len(waiting) <= most
            assert not waiting or len(served(tickets)) - over == places

    asyncio.run(run())
