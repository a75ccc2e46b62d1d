import pytest

from vpn.domain.bans import BanRules
from vpn.domain.errors import Invalid
from vpn.settings.bans import BansSettings, ban_rules_of
from vpn.settings.load import load_settings


def load(tmp_path, **variables):
    return load_settings({"VPN_DATA_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)} | variables).bans


def test_the_defaults_are_those_of_the_rules_and_trust_this_machine():
    rules = ban_rules_of(BansSettings())
    assert rules == BanRules(trusted=rules.trusted)
    assert rules.trusts("127.0.0.1")
    assert rules.trusts("::1")
    assert not rules.trusts("192.0.2.1")


def test_settings_become_rules(tmp_path):
    rules = ban_rules_of(load(tmp_path, VPN_BANS__TRUSTED="192.0.2.0/24", VPN_BANS__BAN_AFTER="3"))
    assert rules.trusts("192.0.2.9")
    assert not rules.trusts("127.0.0.1")
    assert rules.ban_after == 3


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("VPN_BANS__TRUSTED", "192.0.2.1/24", "bits must be zero"),
        ("VPN_BANS__BAN_AFTER", "0", "VPN_BANS__BAN_AFTER"),
        ("VPN_BANS__MAX_BAN_TIME", "10", "at least ban_time"),
        ("VPN_BANS__BANAFTER", "3", "ban_after"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, variable, value, words):
    with pytest.raises(Invalid) as caught:
        load(tmp_path, **{variable: value})
    assert words in f"{caught.value.message} {caught.value.hint}"
