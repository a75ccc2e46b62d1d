import os
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from vpn.domain.errors import Conflict, Unavailable
from vpn.services.users import new_user
from vpn.store.sealed import SecretStore, number_of, owner_of
from vpn.store.secrets import SecretBox
from vpn.store.tables import secrets
from vpn.store.users import UserStore

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(database):
    return SecretStore(database, SecretBox(bytes(32)))


async def test_secrets_are_kept_replaced_found_and_removed(store):
    assert await store.get("users/1", "shadowsocks") is None
    await store.put("users/1", "shadowsocks", "first")
    await store.put("users/1", "other", "first")
    await store.put("users/1", "shadowsocks", "second")
    assert await store.get("users/1", "shadowsocks") == "second"
    assert await store.owner("shadowsocks", "second") == "users/1"
    assert await store.owner("shadowsocks", "first") is None
    await store.remove("users/1", "shadowsocks")
    assert await store.get("users/1", "shadowsocks") is None
    assert await store.get("users/1", "other") == "first"
    await store.remove("users/1")
    assert await store.get("users/1", "other") is None


async def test_who_has_none_gets_one_once(store):
    owners = [owner_of(number) for number in range(1200)]
    await store.put(owners[3], "shadowsocks", "mine")
    made = await store.ensure("shadowsocks", owners, lambda: os.urandom(8).hex())
    assert made[owners[3]] == "mine"
    assert len(set(made.values())) == 1200
    assert await store.ensure("shadowsocks", owners, lambda: pytest.fail("there is one")) == made


async def test_no_two_have_the_same(store):
    await store.put("users/1", "shadowsocks", "taken")
    with pytest.raises(Conflict):
        await store.put("users/2", "shadowsocks", "taken")
    assert await store.owner("shadowsocks", "taken") == "users/1"


async def test_nothing_is_readable_in_the_database_nor_of_use_elsewhere(store, database):
    await store.put("users/1", "shadowsocks", "very secret")
    await store.put("users/2", "shadowsocks", "another")
    async with database.begin_writing() as connection:
        rows = (await connection.execute(select(secrets).order_by(secrets.c.owner))).all()
        assert all(b"very secret" not in bytes(str(row), "utf-8") for row in rows)
        sealed = rows[0].sealed
        await connection.execute(update(secrets).where(secrets.c.owner == "users/2").values(sealed=sealed))
    with pytest.raises(Unavailable, match="cannot be opened"):
        await store.get("users/2", "shadowsocks")


async def test_who_is_removed_takes_the_secrets_along(store, database):
    users = UserStore(database)
    stays, goes = await users.add(new_user("stays", NOW)), await users.add(new_user("goes", NOW))
    for user in (stays, goes):
        await store.put(owner_of(user.number), "shadowsocks", user.name)
    await users.remove("GOES")
    assert await store.get(owner_of(goes.number), "shadowsocks") is None
    assert await store.get(owner_of(stays.number), "shadowsocks") == "stays"


def test_an_owner_is_a_number_again():
    assert number_of(owner_of(7)) == 7
