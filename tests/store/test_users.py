import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.domain.group import Group
from vpn.domain.limits import Limits
from vpn.domain.user import Selection, User
from vpn.store.groups import GroupStore
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


def named(name):
    return lambda each: replace(each, name=name)


@pytest.fixture
def store(database):
    return UserStore(database)


@pytest.fixture
async def staffed(database, store):
    """The store, with the groups Staff and trial."""
    for name in ("Staff", "trial"):
        await GroupStore(database).add(Group(name=name, created_at=NOW, updated_at=NOW))
    return store


async def test_what_was_stored_is_read(store):
    alice = user("Alice", note="\u00fc\U0001f600", enabled=False)
    stored = await store.add(alice)
    assert stored.number
    assert stored == replace(alice, number=stored.number)
    assert await store.get("aLICE") == stored


async def test_a_user_is_found_by_number(store):
    await store.add(user("bob"))
    alice = await store.add(user("alice"))
    assert await store.numbered(alice.number) == alice
    assert await store.numbered(alice.number + 1) is None


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
    page, total = await store.page(offset=0, limit=10, where=Selection(search=search))
    assert [each.name for each in page] == found
    assert total == len(found)


async def test_changes(store):
    before = await store.add(user("alice"))
    later = NOW + timedelta(seconds=1)
    changed = await store.change("Alice", lambda each: replace(each, enabled=False, updated_at=later))
    assert changed == replace(before, enabled=False, updated_at=later)
    assert await store.get("alice") == changed


async def test_a_new_name(store):
    await store.add(user("alice"))
    await store.add(user("bob"))
    assert (await store.change("alice", named("Carol"))).name == "Carol"
    assert (await store.get("carol")).name == "Carol"
    with pytest.raises(NotFound):
        await store.get("alice")
    with pytest.raises(Conflict):
        await store.change("carol", named("BOB"))
    assert (await store.change("carol", named("carol"))).name == "carol"


async def test_nobody_is_nobody(store):
    for action in (store.get("x"), store.change("x", named("y")), store.remove("x")):
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
    told = [(each.name, each.credential, each.enabled) for each in await store.all()]
    assert sorted(told) == [("alice", 1, True), ("bob", 2, False)]


LIMITS = Limits(
    down=20_000_000, sources=("10.0.0.0/8",), hours=(), expires_at=NOW, data_limit=2**62, reset="monthly", warn_at=(80,)
)


async def test_limits_and_groups_are_kept(staffed):
    stored = await staffed.add(user("alice", limits=LIMITS, groups=("TRIAL", "staff"), first_used_at=NOW))
    assert stored.groups == ("trial", "Staff")
    assert stored.limits == LIMITS
    assert await staffed.get("alice") == stored
    [outline] = await staffed.all()
    assert outline == tuple(getattr(stored, field) for field in outline._fields)
    assert (await staffed.page(offset=0, limit=1))[0] == [stored]
    moved = await staffed.change("alice", lambda each: replace(each, groups=("Staff",), limits=Limits(up=8000)))
    assert await staffed.get("alice") == moved
    assert (moved.groups, moved.limits) == (("Staff",), Limits(up=8000))


async def test_a_group_that_is_not_there(staffed):
    with pytest.raises(Invalid) as caught:
        await staffed.add(user("alice", groups=("staff", "nothing")))
    assert caught.value.code == "group_unknown"
    assert "nothing" in caught.value.message
    assert await staffed.all() == []


async def test_a_number_is_never_given_out_twice(store):
    first = await store.add(user("alice"))
    await store.remove("alice")
    second = await store.add(user("alice"))
    assert second.number > first.number


async def test_many_are_rewritten_at_once(staffed):
    for name in ("alice", "bob", "carol"):
        await staffed.add(user(name, groups=("staff",) if name != "carol" else ()))
    seen = await staffed.rewrite(
        Selection(group="staff"),
        lambda found: [
            *(replace(each, note="n", groups=("trial",)) for each in found),
            user("dave", groups=("staff",)),
        ],
    )
    assert [(each.name, each.note, each.groups) for each in seen] == [
        ("alice", "n", ("trial",)),
        ("bob", "n", ("trial",)),
        ("dave", "", ("Staff",)),
    ]
    page, _ = await staffed.page(offset=0, limit=10)
    assert page == [*seen[:2], await staffed.get("carol"), seen[2]]


async def test_or_none_of_them(staffed):
    before = [await staffed.add(user("alice")), await staffed.add(user("bob"))]
    with pytest.raises(Conflict):
        await staffed.rewrite(
            Selection(), lambda found: [replace(found[0], note="n"), replace(found[1], name="ALICE"), user("new")]
        )
    with pytest.raises(Invalid):
        await staffed.rewrite(
            Selection(), lambda found: [user("new"), replace(found[0], note="n", groups=("nothing",))]
        )
    assert (await staffed.page(offset=0, limit=10))[0] == before


async def test_changes_at_the_same_time_are_all_kept(store):
    await store.add(user("alice", note=""))
    names = "abcdefgh"
    await asyncio.gather(
        *(store.change("alice", lambda each, more=more: replace(each, note=each.note + more)) for more in names)
    )
    assert sorted((await store.get("alice")).note) == list(names)


async def test_the_first_use_is_noted_once(store):
    alice, bob = await store.add(user("alice")), await store.add(user("bob"))
    await store.note_first_uses({})
    await store.note_first_uses({alice.number: NOW, 999: NOW})
    await store.note_first_uses({alice.number: NOW + timedelta(days=1), bob.number: NOW + timedelta(days=2)})
    assert (await store.get("alice")).first_used_at == NOW
    assert (await store.get("bob")).first_used_at == NOW + timedelta(days=2)


async def test_a_rehearsal_changes_nothing_and_finds_what_is_wrong(staffed):
    before = await staffed.add(user("alice"))
    shown = await staffed.rewrite(
        Selection(group="everyone"), lambda found: [replace(found[0], note="n"), user("bob")], rehearse=True
    )
    assert [(each.name, each.note) for each in shown] == [("alice", "n"), ("bob", "")]
    assert (await staffed.page(offset=0, limit=10))[0] == [before]
    with pytest.raises(Invalid):
        await staffed.rewrite(Selection(), lambda found: [replace(found[0], groups=("no",))], rehearse=True)


@pytest.mark.parametrize("group", ["nothing", "a\0"])
async def test_nobody_is_meant_by_a_group_that_is_not_there(staffed, group):
    with pytest.raises(Invalid) as caught:
        await staffed.rewrite(Selection(group=group), lambda found: found)
    assert caught.value.code == "group_unknown"
