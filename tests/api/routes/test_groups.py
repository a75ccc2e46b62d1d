import pytest

pytestmark = pytest.mark.anyio


async def test_a_groups_life(call):
    new = {"name": "Staff", "note": "n", "limits": {"down": "20mbit"}, "shared": {"down": "1gbit", "share": 5}}
    status, group = await call("POST", "/api/groups", new)
    assert status == 201
    assert group["limits"] == {"down": 20_000_000}
    assert group["shared"] == {"down": 10**9, "share": 5}
    assert group["members"] == 0
    await call("POST", "/api/users", {"name": "alice", "groups": ["staff"]})
    assert await call("GET", "/api/groups/STAFF") == (200, group | {"members": 1})

    status, group = await call(
        "PATCH", "/api/groups/staff", {"name": "crew", "limits": {"up": 8000}, "shared": {"share": None}}
    )
    assert status == 200
    assert (group["name"], group["note"], group["members"]) == ("crew", "n", 1)
    assert (group["limits"], group["shared"]) == ({"down": 20_000_000, "up": 8000}, {"down": 10**9})

    status, error = await call("DELETE", "/api/groups/crew")
    assert (status, error["code"]) == (409, "group_not_empty")
    assert await call("DELETE", "/api/groups/crew?force=true") == (204, None)
    assert (await call("GET", "/api/users/alice"))[1]["groups"] == []


async def test_a_page(call):
    for name in ("staff", "eu", "trial"):
        await call("POST", "/api/groups", {"name": name})
    status, page = await call("GET", "/api/groups?page_size=2")
    assert status == 200
    assert [group["name"] for group in page["data"]] == ["eu", "staff"]
    assert (page["total"], page["total_pages"]) == (3, 2)
    assert (await call("GET", "/api/groups?search=RI"))[1]["total"] == 1


async def test_a_name_is_taken(call):
    await call("POST", "/api/groups", {"name": "staff"})
    status, error = await call("POST", "/api/groups", {"name": "STAFF"})
    assert (status, error["code"]) == (409, "group_exists")
