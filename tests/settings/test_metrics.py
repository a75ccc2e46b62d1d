import pytest
from pydantic import ValidationError

from vpn.settings.metrics import MetricsSettings


def test_a_day_of_points_is_kept_if_nothing_else_is_said():
    settings = MetricsSettings()
    assert settings.history_hours * 3600 / settings.history_interval == 17_280


@pytest.mark.parametrize("field", ["history_interval", "history_hours"])
@pytest.mark.parametrize("value", [0, -1, "inf", "nan", 10_000])
def test_the_history_is_bounded(field, value):
    with pytest.raises(ValidationError):
        MetricsSettings(**{field: value})
