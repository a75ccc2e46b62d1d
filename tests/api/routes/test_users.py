import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def staff(call):
    """The group staff, with alice and bob in it, and carol, who is not."""
    await call("POST", "/api/groups", {"name": "staff", "limits": {"down": "20mbit", "max_devices": 3}})
    for name in ("alice", "bob", "carol"):
        body = {"name": name, "password": "x", "groups": ["STAFF"] if name != "carol" else []}
        assert (await call("POST", "/api/users", body))[0] == 201


async def test_own_and_inherited_limits_are_told_apart(call, staff):
    status, alice = await call("PATCH", "/api/users/alice", {"limits": {"down": "50mbit", "data_limit": "50GB"}})
    assert status == 200
    assert alice["groups"] == ["staff"]
    assert alice["limits"] == {"down": 50_000_000, "data_limit": 50 * 10**9}
    assert alice["effective"] == {"down": 50_000_000, "data_limit": 50 * 10**9, "max_devices": 3}
    _, alice = await call("PATCH", "/api/users/alice", {"limits": {"down": None, "up": 0}})
    assert alice["limits"] == {"data_limit": 50 * 10**9, "up": 0}
    assert alice["effective"]["down"] == 20_000_000
    assert await call("GET", "/api/users/alice") == (200, alice)


async def test_every_limit_is_taken_and_shown(call):
    limits = {
        "max_connections": 20,
        "connection_rate": "5",
        "max_devices": 3,
        "sources": "10.0.0.0/8",
        "inbounds": ["main"],
        "hours": ["mon-fri 08:00-18:00"],
        "timezone": "Europe/Berlin",
        "expires_at": "2026-12-31T18:00:00+01:00",
        "expires_after": "30d",
        "down": "20mbit",
        "up": 5_000_000,
        "down_guaranteed": "1mbit",
        "up_guaranteed": "1mbit",
        "share": 2,
        "priority": 7,
        "burst": "64KiB",
        "data_limit": "50GiB",
        "reset": "monthly",
        "warn_at": [80, "95%"],
        "throttle": "64kbit",
    }
    status, access = await call("POST", "/api/users", {"name": "alice", "limits": limits})
    assert status == 201
    assert access["user"]["limits"] == limits | {
        "connection_rate": 5,
        "sources": ["10.0.0.0/8"],
        "expires_at": "2026-12-31T17:00:00Z",
        "expires_after": 30 * 86400,
        "down": 20_000_000,
        "down_guaranteed": 1_000_000,
        "up_guaranteed": 1_000_000,
        "burst": 65536,
        "data_limit": 50 * 2**30,
        "warn_at": [80, 95],
        "throttle": 64_000,
    }


async def test_lists_are_narrowed(call, staff):
    await call("PATCH", "/api/users/bob", {"enabled": False})
    for query, names in (
        ("group=STAFF", ["alice", "bob"]),
        ("enabled=false", ["bob"]),
        ("group=staff&enabled=true", ["alice"]),
        ("group=nothing", []),
        ("group=everyone&search=caro", ["carol"]),
    ):
        _, page = await call("GET", f"/api/users?{query}")
        assert [user["name"] for user in page["data"]] == names
        assert page["total"] == len(names)


async def test_many_are_changed(call, staff):
    body = {"where": {"group": "staff"}, "changes": {"note": "n", "limits": {"down": None}}, "dry_run": True}
    answer = (200, {"count": 2, "names": ["alice", "bob"]})
    assert await call("PATCH", "/api/users", body) == answer
    assert (await call("GET", "/api/users/alice"))[1]["note"] == ""
    assert await call("PATCH", "/api/users", body | {"dry_run": False}) == answer
    _, page = await call("GET", "/api/users")
    assert [user["note"] for user in page["data"]] == ["n", "n", ""]


async def test_a_user_may_be_named_like_a_path(call):
    for name in ("edit", "export", "import"):
        assert (await call("POST", "/api/users", {"name": name}))[0] == 201
        assert (await call("GET", f"/api/users/{name}"))[1]["name"] == name
