import pytest

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.domain.password import verify_password
from vpn.domain.user import check_password

pytestmark = pytest.mark.anyio


@pytest.fixture
def published(snapshots):
    """The users of each snapshot that was published."""
    seen = []

    async def publish(snapshot):
        seen.append({user.name: user for user in snapshot.users})

    snapshots.publish_to(publish)
    return seen


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
