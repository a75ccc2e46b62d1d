from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from vpn.domain.bans import Ban
from vpn.store.bans import BanStore

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BAN = Ban(
    kind="source",
    subject="192.0.2.1",
    reason="brute_force",
    failures=20,
    created_at=NOW,
    until=NOW + timedelta(seconds=300),
)


async def test_bans_are_kept_replaced_and_removed(database):
    store = BanStore(database)
    assert await store.all() == []
    user = msgspec.structs.replace(BAN, kind="user", exempt=("192.0.2.7", "2001:db8::/64"))
    await store.write([BAN, user])
    assert sorted(await store.all(), key=lambda ban: ban.kind) == [BAN, user]
    longer = msgspec.structs.replace(BAN, until=NOW + timedelta(days=1), failures=0, reason="by hand")
    await store.write([longer], [("user", "192.0.2.1"), ("user", "nobody")])
    assert await store.all() == [longer]
    await store.write([], [("source", "192.0.2.1")])
    assert await store.all() == []


async def test_many_at_once(database):
    store = BanStore(database)
    many = [msgspec.structs.replace(BAN, kind="user", subject=f"user{number}") for number in range(250)]
    await store.write(many)
    await store.write([BAN], [(ban.kind, ban.subject) for ban in many])
    assert await store.all() == [BAN]
