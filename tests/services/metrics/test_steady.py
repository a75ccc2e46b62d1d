from hypothesis import given
from hypothesis import strategies as st

from vpn.services.metrics.steady import Steady


def test_what_was_lost_is_kept():
    steady = Steady()
    assert [steady.follow("a", value) for value in (5, 7, 0, 3, 4)] == [5, 7, 7, 10, 11]
    assert steady.follow("b", 1) == 1


@given(st.lists(st.integers(0, 1000)))
def test_it_never_goes_back(values):
    steady = Steady()
    followed = [steady.follow("a", value) for value in values]
    assert followed == sorted(followed)
    assert all(shown >= value for shown, value in zip(followed, values, strict=True))
