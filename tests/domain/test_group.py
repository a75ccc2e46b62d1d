from datetime import UTC, datetime

import pytest

from vpn.domain.errors import Invalid
from vpn.domain.group import Group, Inheritance, check_group_name, check_groups
from vpn.domain.limits import NO_LIMITS, NOT_SHARED, Limits

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_group_without_limits_limits_nobody():
    group = Group(name="staff", created_at=NOW, updated_at=NOW)
    assert (group.limits, group.shared, group.note) == (NO_LIMITS, NOT_SHARED, "")


def test_groups_of_a_user():
    assert check_groups(["Staff", "eu-1"]) == ("Staff", "eu-1")
    assert check_groups([]) == ()


@pytest.mark.parametrize("names", [["a b"], [""], ["staff", "STAFF"], ["Everyone"], [f"g{n}" for n in range(33)]])
def test_groups_that_a_user_cannot_be_in(names):
    with pytest.raises(Invalid):
        check_groups(names)


def test_a_group_name_is_like_a_users():
    assert check_group_name("everyone") == "everyone"
    with pytest.raises(Invalid, match="group name"):
        check_group_name("a b")


def test_limits_are_inherited_from_the_nearest_group_that_says_something_and_from_everyone_last():
    def group(name, **limits):
        return Group(name=name, limits=Limits(**limits), created_at=NOW, updated_at=NOW)

    inheritance = Inheritance(
        [group("Staff", down=5, max_devices=2), group("night", down=7, up=9), group("everyone", up=1, share=3)]
    )
    assert inheritance.limits(Limits(share=4), ("NIGHT", "staff")) == Limits(share=4, down=7, up=9, max_devices=2)
    assert inheritance.limits(Limits(), ()) == Limits(up=1, share=3)
    assert set(inheritance.shared()) == {"staff", "night", "everyone"}
