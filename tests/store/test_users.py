from datetime import UTC, datetime, timedelta, timezone

import pytest

from vpn.domain.errors import Conflict, NotFound
from vpn.domain.user import User
from vpn.store.users import UserStore

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def user(name, **fields):
    return User(
        **{
            "name": name,
            "password_hash": "$argon2id$x",
            "credential": 2**62,
            "enabled": True,
            "note": "",
            "created_at": NOW,
            "updated_at": NOW,
        }
        | fields
    )


@pytest.fixture
def store(database):
    return UserStore(database)


async def test_what_was_stored_is_read(store):
    alice = user("Alice", note="\u00fc\U0001f600", enabled=False)
    await store.add(alice)
    assert await store.get("aLICE") == alice


async def test_times_come_back_in_utc(store):
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    await store.add(user("alice", created_at=elsewhere))
    read = (await store.get("alice")).created_at
    assert read == NOW
    assert read.utcoffset() == timedelta(0)


async def test_a_name_is_taken_in_any_case(store):
    await store.add(user("alice"))
    with pytest.raises(Conflict) as caught:
        await store.add(user("ALICE"))
    assert caught.value.code == "user_exists"
    assert (await store.page(offset=0, limit=10))[1] == 1


async def test_pages_are_sorted_and_counted(store):
    for name in ("carol", "Bob", "alice", "dave"):
        await store.add(user(name, note=f"likes 100% of {name}s"))
    page, total = await store.page(offset=1, limit=2)
    assert [each.name for each in page] == ["Bob", "carol"]
    assert total == 4


@pytest.mark.parametrize(
    ("search", "found"), [("LI", ["alice"]), ("friend", ["bob"]), ("%", []), ("_", []), ("nobody", [])]
)
async def test_search_is_in_name_and_note_and_literal(store, search, found):
    await store.add(user("alice"))
    await store.add(user("bob", note="A Friend"))
    page, total = await store.page(offset=0, limit=10, search=search)
    assert [each.name for each in page] == found
    assert total == len(found)


async def test_changes(store):
    await store.add(user("alice"))
    later = NOW + timedelta(seconds=1)
    changed = await store.change("Alice", {"enabled": False, "updated_at": later})
    assert changed == user("alice", enabled=False, updated_at=later)
    assert await store.get("alice") == changed


async def test_a_new_name(store):
    await store.add(user("alice"))
    await store.add(user("bob"))
    assert (await store.change("alice", {"name": "Carol"})).name == "Carol"
    assert (await store.get("carol")).name == "Carol"
    with pytest.raises(NotFound):
        await store.get("alice")
    with pytest.raises(Conflict):
        await store.change("carol", {"name": "BOB"})
    assert (await store.change("carol", {"name": "carol"})).name == "carol"


async def test_nobody_is_nobody(store):
    for action in (store.get("x"), store.change("x", {"note": ""}), store.remove("x")):
        with pytest.raises(NotFound) as caught:
            await action
        assert caught.value.code == "user_unknown"


async def test_removed_is_gone(store):
    await store.add(user("alice"))
    await store.remove("ALICE")
    with pytest.raises(NotFound):
        await store.get("alice")


async def test_what_the_data_plane_is_told(store):
    await store.add(user("alice", credential=1))
    await store.add(user("bob", credential=2, enabled=False))
    assert sorted(await store.credentials()) == [("alice", 1, True), ("bob", 2, False)]
