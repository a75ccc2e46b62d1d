"""A window against what it stands for: a set of all numbers, and the highest of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.protocols.packet_window import SIZE, Window

LAST = 2**64 - 1
near = st.integers(0, 3 * SIZE)
numbers = st.lists(st.one_of(near, near.map(lambda number: LAST - number), st.integers(0, LAST)), max_size=60)


@given(numbers)
def test_each_number_once_and_none_too_late(given_numbers):
    window, seen, highest = Window(), set(), -1
    for number in given_numbers:
        wanted = number not in seen and number > highest - SIZE
        assert window.accept(number) is wanted
        if wanted:
            seen.add(number)
            highest = max(highest, number)
        assert window.highest == highest
        assert window._seen < 1 << SIZE


@pytest.mark.parametrize("step", [1, 2, SIZE - 1, SIZE, SIZE + 1])
def test_the_edges(step):
    window = Window()
    assert [window.accept(number) for number in (0, step, 0, step)] == [True, True, False, False]
    assert window.accept(step + SIZE)
    assert not window.accept(step)
    assert window.accept(step + 1)
    assert not window.accept(step + 1)
