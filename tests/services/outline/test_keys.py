import pytest

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.links import shadowsocks
from vpn.services.outline.keys import NewKey

pytestmark = pytest.mark.anyio


async def test_a_key_is_a_user_with_a_secret(outline):
    key = await outline.keys.add(NewKey(name="Ann's ☎", limit=5000))
    user = await outline.users.get(f"key-{key.id}")
    assert (str(user.number), user.note) == (key.id, "Ann's ☎")
    assert (user.limits.data_limit, user.limits.reset) == (5000, "rolling")
    assert await outline.passwords.of(user.number) == key.password
    link = shadowsocks.parse(key.access_url)
    assert (link.password, link.port, link.method, link.outline) == (key.password, key.port, key.method, True)
    assert await outline.keys.all() == [key]
    assert await outline.keys.identifiers() == {user.number: key.id}


async def test_a_user_of_ours_is_a_key_and_keeps_its_own_note(outline):
    await outline.users.add("alice", note="paid until May")
    [key] = await outline.keys.all()
    assert key.name == "alice"
    await outline.keys.rename(key.id, "Alice")
    await outline.users.edit("alice", new_name="alicia")
    assert [(each.id, each.name) for each in await outline.keys.all()] == [(key.id, "Alice")]
    assert (await outline.users.get("alicia")).note == "paid until May"
    await outline.keys.remove(key.id)
    assert await outline.keys.all() == []
    with pytest.raises(NotFound):
        await outline.keys.get(key.id)


async def test_a_limit_of_another_period_is_a_limit_and_is_taken_away_without_its_period(outline):
    user = (await outline.users.add("alice", limits={"data_limit": "1GB", "reset": "monthly"})).user
    id = str(user.number)
    assert (await outline.keys.get(id)).data_limit == 10**9
    await outline.keys.limit(id, None)
    limits = (await outline.users.get("alice")).limits
    assert (limits.data_limit, limits.reset) == (None, "monthly")
    await outline.keys.limit(id, 0)
    assert (await outline.keys.get(id)).data_limit == 0
    assert (await outline.users.get("alice")).limits.data_limit == 1, "0 would be no limit"
    await outline.users.edit("alice", limits={"data_limit": 0})
    assert (await outline.keys.get(id)).data_limit is None


async def test_a_number_that_was_chosen_as_id_is_nobody_elses(outline):
    """Users get numbers one after the other, and somebody has chosen one of these."""
    first = await outline.keys.add(NewKey())
    number = str(int(first.id) + 2)
    chosen = await outline.keys.add(NewKey(name="chosen"), number)
    later = await outline.keys.add(NewKey(name="later"))
    assert (chosen.id, later.id) == (number, f"user-{number}")
    assert (await outline.keys.get(number)).name == "chosen"
    assert (await outline.keys.get(later.id)).name == "later"
    await outline.keys.remove(number)
    assert later in await outline.keys.all(), "and it is not called otherwise when the number is free"
    with pytest.raises(NotFound):
        await outline.keys.get(number)
    again = await outline.keys.add(NewKey(name="again"), number)
    assert (again.id, await outline.keys.get(later.id)) == (number, later)
    assert (await outline.book.state()).retired == (number,), "however often it is chosen"
    with pytest.raises(Conflict):
        await outline.keys.add(NewKey(), later.id)


async def test_names_of_users_that_are_taken(outline):
    await outline.users.add("ann")
    assert (await outline.keys.add(NewKey(), "ann")).id == "ann"
    assert (await outline.users.get("key-2")).number == 2
    await outline.users.add("key-4")
    key = await outline.keys.add(NewKey(name="x"))
    assert (key.id, (await outline.keys.get("4")).name) == ("4", "x")


async def test_what_is_remembered_of_users_who_are_no_more_is_forgotten(outline):
    key = await outline.keys.add(NewKey(), "ann")
    await outline.users.remove("ann")
    with pytest.raises(NotFound):
        await outline.keys.get(key.id)
    await outline.keys.add(NewKey(), "ann")
    assert len((await outline.book.state()).keys) == 1


async def test_a_password_that_somebody_has_leaves_nothing_behind(outline):
    first = await outline.keys.add(NewKey(password="correct horse battery"))
    with pytest.raises(Conflict) as refused:
        await outline.keys.add(NewKey(password="correct horse battery"))
    assert "horse" not in refused.value.message + refused.value.hint
    assert await outline.keys.all() == [first]
    await outline.keys.remove(first.id)
    assert (await outline.keys.add(NewKey(password="correct horse battery"))).password == "correct horse battery"


@pytest.mark.parametrize("id", ["", "a/b", "a?b", "..", "x" * 65, "a\nb"])
async def test_identifiers_that_cannot_be(outline, id):
    with pytest.raises(Invalid):
        await outline.keys.add(NewKey(), id)


@pytest.mark.parametrize("id", ["0", "01", "-1", "\uff19", "99999999999", "4294967297", "user-1", "x" * 300])
async def test_identifiers_that_nobody_has(outline, id):
    await outline.users.add("alice")
    with pytest.raises(NotFound):
        await outline.keys.get(id)


@pytest.mark.parametrize(
    "new",
    [
        NewKey(password="short"),
        NewKey(password="x" * 256),
        NewKey(password="with\0nothing"),
        NewKey(method="2022-blake3-aes-128-gcm"),
        NewKey(method="aes-192-gcm"),
        NewKey(name="two\nlines"),
        NewKey(limit=2**63),
        NewKey(port=70_000),
    ],
)
async def test_keys_that_cannot_be(outline, new):
    with pytest.raises(Invalid):
        await outline.keys.add(new)
    assert await outline.keys.all() == []
