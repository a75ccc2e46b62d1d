import pytest

from vpn.api.app import LARGER_BODIES, LARGEST_BODY
from vpn.api.routes import roster

pytestmark = pytest.mark.anyio


async def test_there_and_back(call):
    await call("POST", "/api/groups", {"name": "staff"})
    rows = [
        {"name": "alice", "password": "s3cret", "groups": "staff", "enabled": "no", "limits": {"down": "20mbit"}},
        {"name": "bob"},
    ]
    status, done = await call("POST", "/api/roster", {"rows": rows, "dry_run": True})
    assert (status, done) == (200, {"added": ["alice", "bob"], "updated": [], "skipped": [], "passwords": {}})
    assert (await call("GET", "/api/roster"))[1] == {"rows": []}

    status, done = await call("POST", "/api/roster", {"rows": rows})
    assert (status, done["added"], list(done["passwords"])) == (200, ["alice", "bob"], ["bob"])
    _, export = await call("GET", "/api/roster?group=staff")
    assert export["rows"] == [
        {"name": "alice", "enabled": False, "note": "", "groups": ["staff"], "limits": {"down": 20_000_000}}
    ]

    _, export = await call("GET", "/api/roster?with_hashes=true")
    assert all(row["password_hash"].startswith("$argon2id$") for row in export["rows"])
    status, done = await call("POST", "/api/roster", {"rows": export["rows"], "on_conflict": "update"})
    assert (status, done["updated"]) == (200, ["alice", "bob"])


async def test_what_is_wrong_is_named_by_row(call):
    rows = [{"row": 2, "name": "alice"}, {"row": 3, "name": "a b"}, {"row": 4, "name": "x", "limits": {"up": "1"}}]
    status, error = await call("POST", "/api/roster", {"rows": rows})
    assert status == 422
    assert [line.split(":")[0] for line in error["message"].splitlines()[1:]] == ["row 3", "row 4"]
    assert (await call("GET", "/api/users"))[1]["total"] == 0


async def test_an_import_may_be_larger_than_other_requests(call):
    note = "x" * 500
    rows = [{"name": f"user{number}", "note": note} for number in range(-(-LARGEST_BODY // 500))]
    status, done = await call("POST", roster.PATH, {"rows": rows, "dry_run": True})
    assert status == 200
    assert len(done["added"]) == len(rows)
    status, error = await call("POST", roster.PATH, b" " * (LARGER_BODIES[roster.PATH] + 1))
    assert (status, error["code"]) == (413, "too_large")
