import pytest

from vpn.domain.errors import Invalid
from vpn.settings.load import load_settings


def load(tmp_path, **variables):
    return load_settings({"VPN_DATA_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)} | variables).statistics


def test_how_long_figures_are_kept(tmp_path):
    assert (load(tmp_path).hours_kept, load(tmp_path).days_kept) == (35, 400)
    assert load(tmp_path, VPN_STATISTICS__HOURS_KEPT="7").hours_kept == 7


@pytest.mark.parametrize(("name", "value"), [("HOURS_KEPT", "0"), ("DAYS_KEPT", "30"), ("DESTINATIONS", "1")])
def test_too_little(tmp_path, name, value):
    with pytest.raises(Invalid):
        load(tmp_path, **{f"VPN_STATISTICS__{name}": value})
