import pytest
from pydantic import ValidationError

from vpn.settings.shaping import ShapingSettings


def test_rates_are_written_as_people_do():
    settings = ShapingSettings(down="500mbit", up="2.5MB/s")
    assert (settings.down, settings.up) == (500_000_000, 20_000_000)
    assert (ShapingSettings().down, ShapingSettings(up=8000).up) == (0, 8000)


@pytest.mark.parametrize("rate", ["fast", "-1", -1, "5mb/s", 2**70])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(ValidationError):
        ShapingSettings(down=rate)
