from datetime import UTC, datetime, timedelta

import pytest

from vpn.store.inbounds import InboundStore, StoredInbound
from vpn.store.sealed import SecretStore, owner_of_inbound
from vpn.store.secrets import SecretBox

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_inbounds_are_kept_replaced_and_removed(database):
    store = InboundStore(database)
    later = NOW + timedelta(days=1)
    await store.put("phones", "{}", NOW)
    await store.put("phones", '{"method":"x"}', later)
    await store.put("b", "{}", later)
    await store.put("a", "{}", later)
    assert await store.all() == [
        StoredInbound("phones", '{"method":"x"}', NOW, later),
        StoredInbound("a", "{}", later, later),
        StoredInbound("b", "{}", later, later),
    ], "the oldest first"
    await store.remove("phones")
    await store.remove("nobody")
    assert [each.name for each in await store.all()] == ["a", "b"]


async def test_one_that_is_removed_takes_its_key_along(database):
    store, secrets = InboundStore(database), SecretStore(database, SecretBox(bytes(32)))
    for name in ("phones", "tablets"):
        await store.put(name, "{}", NOW)
        await secrets.put(owner_of_inbound(name), "2022-blake3-aes-128-gcm", name)
    await store.remove("phones")
    assert await secrets.get(owner_of_inbound("phones"), "2022-blake3-aes-128-gcm") is None
    assert await secrets.get(owner_of_inbound("tablets"), "2022-blake3-aes-128-gcm") == "tablets"
