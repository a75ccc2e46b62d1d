import pytest

from vpn.domain.errors import Invalid
from vpn.settings.load import load_settings


def load(tmp_path, **variables):
    return load_settings({"VPN_DATA_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)} | variables)


def test_levels_and_the_access_log_from_the_environment(tmp_path):
    log = load(
        tmp_path,
        VPN_LOG__LEVELS__SESSIONS="debug",
        VPN_LOG__ACCESS__FILE="/var/log/a.log",
        VPN_LOG__ACCESS__MAX_SIZE="10MB",
    ).log
    assert log.levels == {"sessions": "debug"}
    assert (str(log.access.file), log.access.max_size, log.access.keep) == ("/var/log/a.log", 10_000_000, 7)
    assert load(tmp_path).log.access.file is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("LEVELS__SESIONS", "debug"), ("LEVELS__SESSIONS", "loud"), ("ACCESS__MAX_SIZE", "big"), ("KEEP", "-1")],
)
def test_what_cannot_be_is_said(tmp_path, name, value):
    with pytest.raises(Invalid, match="log"):
        load(tmp_path, **{f"VPN_LOG__{name}": value})
