"""What was in a database of before is in it afterwards."""

from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from vpn.domain.limits import Limits
from vpn.store.database import Database
from vpn.store.users import UserStore

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_ADD = """
INSERT INTO users (name, canonical_name, password_hash, credential, enabled, note, created_at, updated_at)
VALUES (:name, :name, 'hash', 7, true, 'note', :now, :now)
"""


async def migrate(database, revision):
    def run(connection):
        config = Config()
        config.set_main_option("script_location", "vpn.store:migrations")
        config.attributes["connection"] = connection
        (command.upgrade if revision == "head" else command.downgrade)(config, revision)

    async with database.begin() as connection:
        await connection.run_sync(run)


async def add(database, name):
    async with database.begin() as connection:
        now = NOW.replace(tzinfo=None) if database.is_sqlite else NOW
        await connection.execute(text(_ADD), {"name": name, "now": str(now) if database.is_sqlite else now})


async def test_users_stay_with_their_numbers(database: Database):
    await migrate(database, "0001")
    for name in ("alice", "bob", "carol"):
        await add(database, name)
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM users WHERE name = 'alice'"))
        before = dict((await connection.execute(text("SELECT name, id FROM users"))).all())
    await migrate(database, "head")
    store = UserStore(database)
    found, _ = await store.page(offset=0, limit=10)
    assert {user.name: user.number for user in found} == before == {"bob": 2, "carol": 3}
    assert {(user.note, user.credential, user.created_at, user.limits) for user in found} == {
        ("note", 7, NOW, Limits())
    }
    await store.remove("carol")
    await add(database, "dave")
    assert (await store.get("dave")).number > 3


async def test_there_and_back(database: Database):
    await add(database, "alice")
    await migrate(database, "0001")
    async with database.begin() as connection:
        assert (await connection.execute(text("SELECT name FROM users"))).scalars().all() == ["alice"]
    await migrate(database, "head")
    assert [user.name for user in await UserStore(database).all()] == ["alice"]
