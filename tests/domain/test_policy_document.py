from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.policies import policies
from vpn.domain.errors import Invalid
from vpn.domain.policy import GroupRules, Policy, Rule, UserRules
from vpn.domain.policy_document import MOST_RULES, dump_policy, parse_policy

OURS = {
    "default": "allow",
    "groups": {"Staff": {"rules": [{"action": "block", "destinations": "10.0.0.0/8", "ports": 443}]}},
    "users": {"Alice": {"groups": ["STAFF", "staff"], "rules": [{"action": "allow", "protocols": "udp"}]}, "bob": None},
}
RUSTSOCKS = """
[global]
default_policy = "allow"
[[users]]
username = "Alice"
groups = ["STAFF"]
  [[users.rules]]
  action = "allow"
  protocols = ["udp"]
[[users]]
username = "bob"
[[groups]]
name = "Staff"
  [[groups.rules]]
  action = "block"
  description = ""
  destinations = ["10.0.0.0/8"]
  ports = ["443"]
  protocols = ["both"]
  priority = 0
"""
MEANT = Policy(
    default="allow",
    groups={"staff": GroupRules((Rule(action="block", destinations=("10.0.0.0/8",), ports=("443",)),))},
    users={"alice": UserRules(("staff",), (Rule(action="allow", protocols=("udp",)),)), "bob": UserRules()},
)


def trouble(document, **options):
    with pytest.raises(Invalid) as caught:
        parse_policy(document, **options)
    assert caught.value.code == "bad_policy"
    return caught.value


def test_both_forms_mean_the_same():
    assert parse_policy(OURS) == MEANT
    assert parse_policy(tomllib.loads(RUSTSOCKS)) == MEANT


def test_what_is_left_out_blocks():
    assert parse_policy({"groups": {}}).default == "block"
    assert parse_policy({"global": {}}).default == "block"


@given(policies)
def test_a_policy_written_down_is_read_as_the_same(policy):
    assert parse_policy(dump_policy(policy)) == policy


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "the document says nothing"),
        ({"default": "deny"}, "default: 'deny' is no action"),
        ({"default": False}, "default: False is no action"),
        ({"defualt": "allow"}, "defualt: there is no such key"),
        ({"groups": ["staff"]}, "groups.0: this is no table with a name"),
        ({"groups": {"staff": []}}, "groups.staff: this is no set of keys and values"),
        ({"groups": {"staff": {"rules": {}}}}, "groups.staff.rules: this is no list"),
        ({"groups": {"staff": {"rules": ["block"]}}}, "groups.staff.rules.0: 'block' is no set of keys and values"),
        ({"groups": {"staff": {"rules": [{}]}}}, "groups.staff.rules.0: this rule has no action"),
        ({"groups": {"staff": {"rules": [{"action": None}]}}}, "groups.staff.rules.0: this rule has no action"),
        ({"groups": {"a b": {}}}, "groups.a b: 'a b' is no name"),
        ({"groups": {"A": {}, "a": {}}}, "groups.a: a is there twice"),
        ({"users": {"a": {"groups": "x y"}}}, "users.a.groups: 'x y' is no name"),
        ({"users": [{"name": "a"}]}, "users.0: this is no table with a name"),
        ({"users": [{"username": 7}]}, "users.0: 7 is no name"),
        ({"global": {"default_policy": "x"}}, "global.default_policy: 'x' is no action"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(document, message):
    assert message in trouble(document).message


def test_a_key_that_is_nearly_right_is_named():
    assert trouble({"default": "allow", "group": {}}).hint == "did you mean groups?"


def test_several_things_are_told_at_once_with_file_and_line():
    rules = [{"action": "allow", "ports": 70000 + number} for number in range(25)]
    error = trouble({"groups": {"g": {"rules": rules}}}, where=lambda key: f"policy.yaml:{key[3]}")
    lines = error.message.splitlines()
    assert len(lines) == 20
    assert lines[3].startswith("policy.yaml:3: groups.g.rules.3.ports: '70003' is no port (")
    assert error.hint == "mend these 20 places, and 5 more"


def test_there_is_an_end_to_the_rules():
    rules = [{"action": "allow"}] * (MOST_RULES // 2)
    document = {"groups": {"a": {"rules": rules}, "b": {"rules": rules}}}
    assert sum(1 for _ in parse_policy(document).rules()) == MOST_RULES
    document["users"] = {"c": {"rules": [{"action": "allow"}]}}
    assert "more than 20000 rules" in trouble(document).message


def test_countries_need_a_file_that_tells_them():
    document = {"groups": {"g": {"rules": [{"action": "block", "destinations": ["country:DE"]}]}}}
    assert parse_policy(document)
    assert "policy.geoip" in trouble(document, countries=False).hint


_keys = st.sampled_from(
    ["default", "groups", "users", "global", "rules", "action", "ports", "destinations", "hours", "protocols"]
)
_words = st.sampled_from(["allow", "*", "443"])
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _words,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_keys | st.text(max_size=5), below, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_keys, _anything, max_size=4))
def test_garbage_yields_only_the_domains_own_error(document):
    try:
        parse_policy(document)
    except Invalid:
        pass
