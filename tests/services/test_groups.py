import pytest

from vpn.domain.errors import Conflict, Invalid, NotFound
from vpn.domain.limits import Limits, Shared

pytestmark = pytest.mark.anyio


async def test_a_groups_life(groups, users, published):
    added = await groups.add("Staff", note="n", limits={"down": "20mbit"}, shared={"down": "1gbit"})
    assert added.group.limits == Limits(down=20_000_000)
    assert added.group.shared == Shared(down=10**9)
    assert added.members == 0
    await users.add("alice", "x", groups=["staff"])
    assert await groups.get("STAFF") == (added.group, 1)

    changed = await groups.edit("staff", new_name="crew", limits={"down": None, "up": 8000}, shared={})
    assert (changed.group.name, changed.group.limits, changed.group.shared) == (
        "crew",
        Limits(up=8000),
        Shared(down=10**9),
    )
    assert changed.group.updated_at > added.group.updated_at == changed.group.created_at
    assert (await users.get("alice")).groups == ("crew",)
    assert (await groups.page(page=1, page_size=10)) == ([changed], 1)

    told = len(published)
    with pytest.raises(Conflict):
        await groups.remove("crew")
    assert len(published) == told
    await groups.remove("crew", force=True)
    assert len(published) == told + 1
    assert (await users.get("alice")).groups == ()
    with pytest.raises(NotFound):
        await groups.get("crew")


@pytest.mark.parametrize(
    "fields", [{"name": "a b"}, {"note": "x" * 501}, {"limits": {"down": "fast"}}, {"shared": {"data_limit": 1}}]
)
async def test_bad_values_change_nothing(groups, published, fields):
    with pytest.raises(Invalid):
        await groups.add(**{"name": "staff"} | fields)
    assert (await groups.page(page=1, page_size=10))[1] == 0
    assert published == []


async def test_a_taken_name(groups, published):
    await groups.add("staff")
    with pytest.raises(Conflict):
        await groups.add("STAFF")
    assert len(published) == 1


async def test_no_group_becomes_the_one_that_all_are_in(groups):
    await groups.add("staff")
    with pytest.raises(Invalid):
        await groups.edit("staff", new_name="Everyone")
    await groups.add("everyone")
    assert (await groups.edit("everyone", new_name="Everyone")).group.name == "Everyone"
    assert (await groups.edit("everyone", new_name="all")).members == 0


async def test_the_nearest_limit_holds(groups, users):
    await groups.add("everyone", limits={"down": "1mbit", "up": "1mbit", "max_devices": 9, "share": 5})
    await groups.add("staff", limits={"down": "2mbit", "up": "2mbit", "max_devices": 8})
    await groups.add("eu", limits={"down": "3mbit", "up": "3mbit"})
    for name, named, own in (
        ("alice", ["eu", "staff"], {"down": "4mbit"}),
        ("bob", ["staff", "eu"], {"up": 0}),
        ("carol", [], {}),
    ):
        await users.add(name, "x", groups=named, limits=own)
    everyone, _ = await users.page(page=1, page_size=10)
    assert await groups.limits_of(everyone) == [
        Limits(down=4_000_000, up=3_000_000, max_devices=8, share=5),
        Limits(down=2_000_000, up=0, max_devices=8, share=5),
        Limits(down=1_000_000, up=1_000_000, max_devices=9, share=5),
    ]
    await groups.remove("everyone", force=True)
    assert await groups.limits_of(everyone[2:]) == [Limits()]
