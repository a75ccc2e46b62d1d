import pytest

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.domain.limits import Limits
from vpn.domain.password import verify_password
from vpn.domain.user import Selection, check_password

pytestmark = pytest.mark.anyio


async def test_a_user_is_added_with_a_password_of_his_own(users, published):
    user, password = await users.add("alice", "s3cret", note="laptop")
    assert password == "s3cret"
    assert verify_password(user.password_hash, "s3cret")
    assert "s3cret" not in user.password_hash
    assert (user.note, user.enabled, user.created_at) == ("laptop", True, user.updated_at)
    assert await users.get("alice") == user
    assert published[-1]["alice"].credential == user.credential


async def test_or_with_one_that_is_made(users):
    user, password = await users.add("alice")
    assert check_password(password) == password
    assert verify_password(user.password_hash, password)


@pytest.mark.parametrize(
    "fields", [{"name": "a b"}, {"password": ""}, {"note": "x" * 501}, {"password": "x" * 256}, {"name": ""}]
)
async def test_bad_values_change_nothing(users, published, fields):
    with pytest.raises(Invalid):
        await users.add(**{"name": "alice"} | fields)
    assert (await users.page(page=1, page_size=10))[1] == 0
    assert published == []


async def test_a_taken_name_changes_nothing(users, published):
    first = (await users.add("alice", "one")).user
    with pytest.raises(Conflict):
        await users.add("Alice", "two")
    assert await users.get("alice") == first
    assert len(published) == 1


async def test_enabling_and_disabling(users, published):
    await users.add("alice")
    assert not (await users.edit("alice", enabled=False)).enabled
    assert published[-1]["alice"].blocked == "user_disabled"
    assert (await users.edit("alice", enabled=True)).enabled
    assert published[-1]["alice"].blocked == ""


async def test_an_edit_changes_what_it_names_and_the_time(users):
    before = (await users.add("alice", note="old")).user
    after = await users.edit("alice", note="new")
    assert (after.note, after.enabled, after.password_hash) == ("new", True, before.password_hash)
    assert after.updated_at > before.updated_at == before.created_at == after.created_at


async def test_another_name(users, published):
    await users.add("alice")
    await users.edit("alice", new_name="Carol")
    assert list(published[-1]) == ["Carol"]
    with pytest.raises(Invalid):
        await users.edit("carol", new_name="a b")


async def test_another_password_has_another_credential(users, published):
    before = (await users.add("alice", "one")).user
    after, password = await users.set_password("alice", "two")
    assert password == "two"
    assert verify_password(after.password_hash, "two")
    assert after.credential != before.credential
    assert published[-1]["alice"].credential == after.credential
    with pytest.raises(Invalid):
        await users.set_password("alice", "")


async def test_a_user_who_is_removed_and_added_again_has_another_credential(users):
    before = (await users.add("alice", "one")).user
    await users.remove("alice")
    assert (await users.add("alice", "one")).user.credential != before.credential


async def test_nobody_can_be_changed_or_removed(users, published):
    for action in (users.edit("x", enabled=True), users.set_password("x"), users.remove("x"), users.get("x")):
        with pytest.raises(NotFound):
            await action
    assert published == []


async def test_pages(users):
    for name in ("a", "b", "c"):
        await users.add(name, "x")
    page, total = await users.page(page=2, page_size=2)
    assert ([user.name for user in page], total) == (["c"], 3)


async def test_limits_and_groups(users, groups, published):
    await groups.add("staff")
    user, _ = await users.add("alice", "x", groups=["STAFF"], limits={"down": "20mbit", "data_limit": "50GB"})
    assert user.groups == ("staff",)
    assert user.limits == Limits(down=20_000_000, data_limit=50 * 10**9)
    changed = await users.edit("alice", groups=[], limits={"down": None, "share": 2})
    assert (changed.groups, changed.limits) == ((), Limits(data_limit=50 * 10**9, share=2))
    assert await users.get("alice") == changed
    assert len(published) == 3


async def test_a_group_that_is_not_there_changes_nothing(users, published):
    with pytest.raises(Invalid):
        await users.add("alice", "x", groups=["nothing"])
    assert (await users.page(page=1, page_size=10))[1] == 0
    assert published == []


async def test_many_are_changed_at_once(users, groups, published):
    await groups.add("staff")
    for name in ("alice", "bob", "carol"):
        await users.add(name, "x", groups=["staff"] if name != "carol" else [], limits={"up": 8000})
    told = len(published)
    where = Selection(group="staff")
    for rehearse in (True, False):
        changed = await users.edit_all(where, rehearse=rehearse, enabled=False, limits={"down": "1mbit"})
        assert [user.name for user in changed] == ["alice", "bob"]
        assert {(user.enabled, user.limits) for user in changed} == {(False, Limits(down=1_000_000, up=8000))}
        assert (await users.get("alice")).enabled is rehearse
    assert len(published) == told + 1
    assert [name for name, user in published[-1].items() if user.blocked] == ["alice", "bob"]


@pytest.mark.parametrize(
    ("where", "fields", "error"),
    [
        (Selection(), {"note": "n"}, Invalid),
        (Selection(group="nothing"), {"note": "n"}, Invalid),
        (Selection(names=("alice", "dave")), {"note": "n"}, NotFound),
        (Selection(names=("alice",)), {"limits": {"down": "fast"}}, Invalid),
        (Selection(names=("alice",)), {"groups": ["nothing"]}, Invalid),
    ],
)
async def test_or_none_is_changed(users, published, where, fields, error):
    before = (await users.add("alice", "x")).user
    with pytest.raises(error):
        await users.edit_all(where, **fields)
    assert await users.get("alice") == before
    assert len(published) == 1


async def test_nobody_meant_is_nobody_changed(users, published):
    await users.add("alice", "x")
    assert await users.edit_all(Selection(search="zzz"), note="n") == []
    assert len(published) == 1
