from datetime import UTC, datetime

from vpn.domain.group import Group
from vpn.domain.limits import NO_LIMITS, NOT_SHARED

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_group_without_limits_limits_nobody():
    group = Group(name="staff", created_at=NOW, updated_at=NOW)
    assert (group.limits, group.shared, group.note) == (NO_LIMITS, NOT_SHARED, "")
