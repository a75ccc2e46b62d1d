import pytest

pytestmark = pytest.mark.anyio


async def test_a_user_who_has_used_nothing(call):
    await call("POST", "/api/users", {"name": "alice", "limits": {"data_limit": "50GB", "reset": "rolling"}})
    status, used = await call("GET", "/api/users/alice/usage")
    assert status == 200
    assert used.pop("period_start") < used.pop("period_end")
    assert used == {
        "name": "alice",
        "state": "active",
        "used": 0,
        "data_limit": 50_000_000_000,
        "reset": "rolling",
        "connections": 0,
        "days": [],
    }


async def test_forgiving_shows_what_is_left(call):
    await call("POST", "/api/users", {"name": "alice", "enabled": False})
    status, used = await call("POST", "/api/users/alice/usage/reset")
    assert (status, used["state"], used["used"]) == (200, "user_disabled", 0)


async def test_nobody_and_nonsense(call):
    assert (await call("GET", "/api/users/nobody/usage"))[0] == 404
    assert (await call("POST", "/api/users/nobody/usage/reset"))[0] == 404
    assert (await call("GET", "/api/users/nobody/usage?days=0"))[0] == 422
