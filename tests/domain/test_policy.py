from __future__ import annotations

import msgspec

from vpn.domain.policy import ALLOW_ALL, GroupRules, Policy, Rule, UserRules, groups_of, name_of

ALLOW = Rule(action="allow")
BLOCK = Rule(action="block")


def test_groups_are_the_stored_ones_then_those_of_the_document_then_everyone():
    policy = Policy(users={"alice": UserRules(groups=("ops", "staff"))})
    assert groups_of(policy, "Alice", ("Staff", "Everyone")) == ("staff", "ops", "everyone")
    assert groups_of(policy, "bob", ()) == ("everyone",)


def test_asking_again_with_what_was_answered_changes_nothing():
    policy = Policy(users={"alice": UserRules(groups=("ops",))})
    once = groups_of(policy, "alice", ("staff",))
    assert groups_of(policy, "alice", once) == once


def test_users_rules_come_before_groups():
    policy = Policy(groups={"g": GroupRules((ALLOW, BLOCK))}, users={"u": UserRules(rules=(BLOCK,))})
    assert [name_of(*each[:3]) for each in policy.rules()] == [
        "users.u.rules.0",
        "groups.g.rules.0",
        "groups.g.rules.1",
    ]


def test_it_travels_as_a_message():
    policy = Policy(default="allow", groups={"g": GroupRules((ALLOW,))}, users={"u": UserRules(("g",), (BLOCK,))})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(policy), type=Policy) == policy
    assert list(ALLOW_ALL.rules()) == []
