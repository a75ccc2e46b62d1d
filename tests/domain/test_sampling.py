import pytest

from vpn.domain.sampling import is_sampled
from vpn.domain.session import SessionIds


@pytest.mark.parametrize(
    ("ratio", "least", "most"), [(0, 0, 0), (0.01, 100, 300), (0.5, 9_500, 10_500), (1, 20_000, 20_000)]
)
def test_shares_are_even_although_identifiers_are_counted_up(ratio, least, most):
    identifiers = SessionIds(3)
    numbers = [identifiers.next(1_767_225_600 + count / 1000) for count in range(20_000)]
    assert least <= sum(is_sampled(number, ratio) for number in numbers) <= most


def test_it_is_the_same_ones_every_time():
    assert [number for number in range(1000) if is_sampled(number, 0.01)] == [
        number for number in range(1000) if is_sampled(number, 0.01) and is_sampled(number, 0.5)
    ]
