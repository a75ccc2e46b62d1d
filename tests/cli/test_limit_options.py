import pytest

from vpn.cli.limit_options import LIMITS, SHARED
from vpn.domain.limit_values import change_limits, change_shared
from vpn.domain.limits import NO_LIMITS, NOT_SHARED, Limits, Shared


def test_every_limit_has_its_option():
    assert {option.field for option in LIMITS} == set(Limits.__struct_fields__)
    assert {option.field for option in SHARED} == set(Shared.__struct_fields__)
    flags = [option.flag for option in LIMITS + SHARED]
    assert len(set(flags)) == len(flags)


@pytest.mark.parametrize("option", LIMITS, ids=lambda option: option.flag)
def test_what_may_come_often_is_a_list(option):
    listed = Limits.__annotations__[option.field].startswith("tuple")
    assert option.repeatable == listed


@pytest.mark.parametrize("command", [("users", "add"), ("users", "edit"), ("groups", "add"), ("groups", "edit")])
def test_help_names_all_of_them(vpn, command):
    text = vpn(*command, "--help").out
    options = LIMITS + (SHARED if command[0] == "groups" else ())
    assert [option.flag for option in options if option.flag not in text] == []
    assert ("--clear" in text) == (command[1] == "edit")
    assert ("--shared-down" in text) == (command[0] == "groups")


def test_the_word_none_lifts_every_limit_that_can_be_lifted(vpn):
    lifted = [option for option in LIMITS if option.field not in ("reset", "timezone", "share")]
    arguments = [word for option in lifted for word in (option.flag, "none")]
    assert vpn("users", "add", "alice", *arguments).code == 0


def test_what_the_options_send_the_domain_reads():
    from datetime import UTC, datetime

    now = datetime(2026, 11, 21, tzinfo=UTC)
    for options, change, nothing in ((LIMITS, change_limits, NO_LIMITS), (SHARED, change_shared, NOT_SHARED)):
        assert change(nothing, {option.field: None for option in options}, now) == nothing
