from datetime import UTC, datetime, timedelta

import pytest

from vpn.store.inbounds import InboundStore, StoredInbound

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_inbounds_are_kept_replaced_and_removed(database):
    store = InboundStore(database)
    later = NOW + timedelta(days=1)
    await store.put("phones", "{}", NOW)
    await store.put("phones", '{"method":"x"}', later)
    await store.put("a", "{}", NOW)
    assert await store.all() == [
        StoredInbound("a", "{}", NOW, NOW),
        StoredInbound("phones", '{"method":"x"}', NOW, later),
    ]
    await store.remove("phones")
    await store.remove("nobody")
    assert [each.name for each in await store.all()] == ["a"]
