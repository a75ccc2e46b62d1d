import pytest

from vpn.services.metrics.histogram import Histogram


@pytest.mark.parametrize(
    ("value", "cumulative"), [(0.0, [1, 1, 1]), (1.0, [1, 1, 1]), (1.5, [0, 1, 1]), (2.0, [0, 1, 1]), (9.0, [0, 0, 1])]
)
def test_a_value_is_counted_up_to_its_bound(value, cumulative):
    histogram = Histogram((1.0, 2.0))
    histogram.add(value)
    assert histogram.cumulative() == cumulative
    assert histogram.sum == value


def test_the_last_is_all():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.5, 5.0, 7.0):
        histogram.add(value)
    assert histogram.cumulative() == [1, 2, 4]
    assert histogram.sum == 14.0
