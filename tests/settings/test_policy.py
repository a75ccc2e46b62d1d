import pytest

from vpn.domain.errors import Invalid
from vpn.settings.load import load_settings


def test_the_database_is_the_policys_home_unless_said_otherwise():
    policy = load_settings({"HOME": "/home/x"}).policy
    assert (policy.mode, policy.file, policy.geoip) == ("database", None, None)


def test_a_file():
    settings = load_settings(
        {"VPN_POLICY__MODE": "file", "VPN_POLICY__FILE": "/etc/vpn/policy.yaml", "HOME": "/home/x"}
    )
    assert str(settings.policy.file) == "/etc/vpn/policy.yaml"


def test_a_file_has_to_be_named():
    with pytest.raises(Invalid, match="policy"):
        load_settings({"VPN_POLICY__MODE": "file", "HOME": "/home/x"})
