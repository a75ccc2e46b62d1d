from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from tests.store.test_users import user
from vpn.domain.errors import Conflict, NotFound
from vpn.domain.group import Group
from vpn.domain.limits import Limits, Shared
from vpn.store.groups import GroupStore
from vpn.store.users import UserStore

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def group(name, **fields):
    return Group(name=name, created_at=NOW, updated_at=NOW, **fields)


@pytest.fixture
def store(database):
    return GroupStore(database)


@pytest.fixture
def users(database):
    return UserStore(database)


async def test_what_was_stored_is_read(store):
    staff = group("Staff", note="n", limits=Limits(down=8000, sources=("10.0.0.0/8",)), shared=Shared(up=9000))
    await store.add(staff)
    assert await store.get("sTAFF") == (staff, 0)
    assert await store.all() == [staff]


async def test_a_name_is_taken_in_any_case(store):
    await store.add(group("staff"))
    with pytest.raises(Conflict) as caught:
        await store.add(group("STAFF"))
    assert caught.value.code == "group_exists"


async def test_members_are_counted(store, users):
    for name in ("staff", "trial", "everyone"):
        await store.add(group(name))
    await users.add(user("alice", groups=("staff", "trial")))
    await users.add(user("bob", groups=("staff",)))
    await users.add(user("carol"))
    page, total = await store.page(offset=0, limit=10)
    assert [(each.group.name, each.members) for each in page] == [("everyone", 3), ("staff", 2), ("trial", 1)]
    assert total == 3
    assert [each.group.name for each in (await store.page(offset=1, limit=1))[0]] == ["staff"]


@pytest.mark.parametrize(("search", "found"), [("TA", ["staff"]), ("new", ["trial"]), ("%", []), ("\0", [])])
async def test_search_is_in_name_and_note_and_literal(store, search, found):
    await store.add(group("staff"))
    await store.add(group("trial", note="Newcomers"))
    page, total = await store.page(offset=0, limit=10, search=search)
    assert [each.group.name for each in page] == found
    assert total == len(found)


async def test_changes(store, users):
    await store.add(group("staff"))
    await store.add(group("trial"))
    await users.add(user("alice", groups=("staff",)))
    later = NOW + timedelta(seconds=1)
    changed = await store.change("STAFF", lambda each: replace(each, name="Crew", note="n", updated_at=later))
    assert changed == (replace(group("Crew", note="n"), updated_at=later), 1)
    assert await store.get("crew") == changed
    assert (await users.get("alice")).groups == ("Crew",)
    with pytest.raises(Conflict):
        await store.change("crew", lambda each: replace(each, name="TRIAL"))
    assert (await store.change("crew", lambda each: replace(each, name="crew"))).group.name == "crew"


async def test_a_group_with_members_is_not_removed_by_accident(store, users):
    await store.add(group("staff"))
    await users.add(user("alice", groups=("staff",)))
    with pytest.raises(Conflict) as caught:
        await store.remove("staff")
    assert caught.value.code == "group_not_empty"
    assert caught.value.message.startswith("1 user is ")
    await store.remove("STAFF", force=True)
    assert (await users.get("alice")).groups == ()
    assert await store.all() == []


async def test_an_empty_one_is(store, users):
    await store.add(group("staff"))
    await users.add(user("alice", groups=("staff",)))
    await users.remove("alice")
    await store.remove("staff")
    assert await store.all() == []


@pytest.mark.parametrize("name", ["x", "x\0"])
async def test_what_is_not_there(store, name):
    for action in (store.get(name), store.change(name, lambda each: each), store.remove(name)):
        with pytest.raises(NotFound) as caught:
            await action
        assert caught.value.code == "group_unknown"
