from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from vpn.domain.errors import Invalid
from vpn.domain.group import Group
from vpn.domain.limits import Limits, Shared
from vpn.domain.user import User
from vpn.domain.user_changes import change_group, change_user

THEN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = THEN + timedelta(days=1)
ALICE = User(
    name="alice",
    password_hash="hash",
    credential=1,
    enabled=True,
    note="n",
    groups=("staff",),
    limits=Limits(down=8000),
    created_at=THEN,
    updated_at=THEN,
)
STAFF = Group(name="staff", limits=Limits(down=8000), shared=Shared(up=9000), created_at=THEN, updated_at=THEN)


def test_nothing_said_changes_nothing_but_the_time():
    assert change_user(ALICE, {}, NOW) == replace(ALICE, updated_at=NOW)
    assert change_group(STAFF, {}, NOW) == replace(STAFF, updated_at=NOW)


def test_everything_said_is_changed():
    changed = change_user(
        ALICE,
        {"note": "", "enabled": False, "groups": [], "limits": {"down": None, "up": "1mbit"}},
        NOW,
    )
    assert (changed.name, changed.note, changed.enabled, changed.groups) == ("alice", "", False, ())
    assert changed.limits == Limits(up=1_000_000)
    group = change_group(STAFF, {"note": "m", "limits": {"share": 2}, "shared": {"up": None, "down": 8000}}, NOW)
    assert (group.name, group.note, group.limits, group.shared) == (
        "staff",
        "m",
        Limits(down=8000, share=2),
        Shared(down=8000),
    )


@pytest.mark.parametrize(
    "changes",
    [{"note": "\n"}, {"note": "\ud800"}, {"groups": ["a b"]}, {"limits": {"down": 1}}],
)
def test_what_is_not_allowed(changes):
    with pytest.raises(Invalid):
        change_user(ALICE, changes, NOW)


@pytest.mark.parametrize("changes", [{"note": "x" * 501}, {"limits": {"x": 1}}, {"shared": {"up": 1}}])
def test_what_is_not_allowed_of_a_group(changes):
    with pytest.raises(Invalid):
        change_group(STAFF, changes, NOW)
