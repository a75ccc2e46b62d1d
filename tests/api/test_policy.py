"""The policy and its rules as a client sees them."""

import pytest

from vpn.api.app import LARGEST_BODY

pytestmark = pytest.mark.anyio
RULE = {"action": "block", "description": "no bees", "destinations": ["b.test"], "ports": ["443"]}
DOCUMENT = {"default": "allow", "groups": {"staff": {"rules": [RULE]}}, "users": {"alice": {"groups": ["staff"]}}}


@pytest.fixture
async def applied(call):
    status, version = await call("PUT", "/api/policy", {"document": DOCUMENT, "author": "me", "comment": "bees"})
    assert status == 200
    return version


async def test_a_policys_life(call, applied):
    assert (applied["number"], applied["author"], applied["comment"]) == (1, "me", "bees")
    status, held = await call("GET", "/api/policy")
    assert status == 200
    assert held["document"] == DOCUMENT
    assert (held["mode"], held["file"], held["problem"], held["rules"]) == ("database", "", "", 1)
    assert held["text"].startswith("default: allow\ngroups:\n  staff:\n")

    change = {"document": {"default": "block"}, "expected_version": 0}
    assert (await call("PUT", "/api/policy", change))[0] == 409
    assert (await call("PUT", "/api/policy", change | {"expected_version": 1}))[0] == 200
    assert [each["number"] for each in (await call("GET", "/api/policy/history"))[1]["data"]] == [2, 1]
    assert (await call("GET", "/api/policy/history/1"))[1]["document"] == DOCUMENT
    text = (await call("GET", "/api/policy/diff?older=1"))[1]["text"]
    assert text.startswith("--- version 1\n+++ now\n")
    assert "-default: allow\n" in text
    assert (await call("GET", "/api/policy/diff?older=1&newer=9"))[0] == 404
    assert (await call("POST", "/api/policy/rollback", {"number": 1}))[1]["number"] == 3
    assert (await call("POST", "/api/policy/rollback", {"number": 9}))[0] == 404


async def test_what_is_wrong_is_told_with_its_place(call):
    wrong = {"document": {"groups": {"staff": {"rules": [{"action": "deny"}]}}}}
    for method, path in (("PUT", "/api/policy"), ("POST", "/api/policy/check"), ("POST", "/api/policy/diff")):
        status, error = await call(method, path, wrong)
        assert (status, error["code"]) == (422, "bad_policy")
        assert "groups.staff.rules.0.action" in error["message"]
    assert (await call("GET", "/api/policy"))[1]["number"] == 0


async def test_checking_and_comparing_changes_nothing(call):
    assert (await call("POST", "/api/policy/check", {"document": DOCUMENT}))[1]["rules"] == 1
    assert "+  staff:\n" in (await call("POST", "/api/policy/diff", {"document": DOCUMENT}))[1]["text"]
    assert (await call("GET", "/api/policy"))[1]["number"] == 0


async def test_a_policy_may_be_larger_than_other_requests(call):
    rules = [RULE | {"description": "x" * 400} for _ in range(3000)]
    document = {"groups": {"staff": {"rules": rules}}}
    status, checked = await call("POST", "/api/policy/check", {"document": document})
    assert (status, checked["rules"]) == (200, 3000)
    assert LARGEST_BODY < 3000 * 400
    assert (await call("POST", "/api/acl/groups", {"name": "staff", "rules": rules}))[0] == 413


async def test_all_rules_and_those_with_a_text(call, applied):
    status, listed = await call("GET", "/api/acl/rules")
    assert status == 200
    (entry,) = listed["rules"]
    assert entry["rule"].items() >= RULE.items()
    assert entry["rule"]["protocols"] == ["tcp", "udp"]
    assert (entry["name"], entry["kind"], entry["whose"]) == ("groups.staff.rules.0", "groups", "staff")
    for text, count in (("BEES", 1), ("b.test", 1), ("staff", 1), ("wasps", 0)):
        assert len((await call("GET", f"/api/acl/search?q={text}"))[1]["rules"]) == count


async def test_a_test_names_the_rule_and_says_why(call, applied):
    request = {"user": "Alice", "destination": "B.test", "port": 443, "protocol": "tcp"}
    status, answer = await call("POST", "/api/acl/test", request)
    assert status == 200
    assert (answer["decision"], answer["matched_rule"]) == ("block", "groups.staff.rules.0")
    assert answer["why"] == "groups.staff.rules.0 blocks it: no bees"
    assert (answer["known_user"], answer["groups"]) == (False, ["staff", "everyone"])
    answer = (await call("POST", "/api/acl/test", request | {"port": 80}))[1]
    assert (answer["decision"], answer["matched_rule"], answer["rule"]) == ("allow", None, None)
    assert (await call("POST", "/api/acl/test", request | {"source": "home"}))[0] == 422


@pytest.mark.parametrize(("kind", "key"), [("groups", "name"), ("users", "username")])
async def test_the_rules_of_a_group_or_user(call, kind, key):
    path = f"/api/acl/{kind}"
    assert await call("GET", path) == (200, [])
    status, added = await call("POST", path, {key: "Ops", "rules": [RULE]})
    assert (status, added[key], added["rules"][0]["description"]) == (201, "ops", "no bees")
    assert (await call("POST", path, {key: "ops"}))[0] == 409
    assert await call("GET", f"{path}/OPS") == (200, added)
    assert (await call("PUT", f"{path}/ops", {"rules": []}))[1] == added | {"rules": []}
    assert await call("DELETE", f"{path}/ops") == (204, None)
    for method in ("GET", "DELETE"):
        assert (await call(method, f"{path}/ops"))[0] == 404
    status, error = await call("PUT", f"{path}/a%20b", {"rules": []})
    assert (status, error["code"]) == (422, "bad_policy")
    assert (await call("GET", "/api/policy"))[1]["author"] == "api"


async def test_the_default(call):
    assert await call("PUT", "/api/acl/global", {"default_policy": "block"}) == (200, {"default_policy": "block"})
    assert await call("GET", "/api/acl/global") == (200, {"default_policy": "block"})


async def test_reading_again(call, applied):
    status, answer = await call("POST", "/api/admin/reload-acl")
    assert (status, answer["success"], answer["rules"]) == (200, True, 1)
