from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from tests.store.test_users import user
from vpn.domain.group import Group
from vpn.domain.user import Selection
from vpn.store.groups import GroupStore
from vpn.store.user_rows import meant, read_users
from vpn.store.users import UserStore

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def staffed(database):
    """The store of users, with the groups Staff and trial."""
    for name in ("Staff", "trial"):
        await GroupStore(database).add(Group(name=name, created_at=NOW, updated_at=NOW))
    return UserStore(database)


async def test_selections(staffed, database):
    await staffed.add(user("alice", groups=("staff",)))
    await staffed.add(user("bob", groups=("staff", "trial"), enabled=False))
    await staffed.add(user("carol"))
    for where, names in (
        (Selection(), "alice bob carol"),
        (Selection(group="STAFF"), "alice bob"),
        (Selection(group="everyone"), "alice bob carol"),
        (Selection(group="nothing"), ""),
        (Selection(group="a\0"), ""),
        (Selection(enabled=True), "alice carol"),
        (Selection(group="staff", enabled=False), "bob"),
        (Selection(names=("ALICE", "dave", "x\0")), "alice"),
        (Selection(names=()), ""),
        (Selection(search="o", group="trial"), "bob"),
    ):
        async with database.begin() as connection:
            found = await read_users(connection, meant(where))
        assert [each.name for each in found] == names.split(), where


async def test_a_page_takes_as_many_questions_however_many_users_are_on_it(staffed, database):
    for number in range(20):
        await staffed.add(user(f"user{number}", groups=("staff", "trial")))
    asked = []
    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    await staffed.page(offset=0, limit=20)
    assert len(asked) == 3
    asked.clear()
    assert len(await staffed.all()) == 20
    assert len(asked) == 2
