from __future__ import annotations

from hypothesis import given
from ruamel.yaml import YAML

from tests.support.policies import policies
from vpn.domain.policy import ALLOW_ALL, GroupRules, Policy, Rule, UserRules
from vpn.domain.policy_document import parse_policy
from vpn.domain.policy_text import policy_text


def test_it_reads_well():
    policy = Policy(
        groups={"staff": GroupRules((Rule(action="block", description="a: b", destinations=("*", "10.0.0.0/8")),))},
        users={"alice": UserRules(("staff",), (Rule(action="allow", ports=("443", "1-2"), enabled=False),))},
    )
    assert policy_text(policy) == (
        "default: block\n"
        "groups:\n"
        "  staff:\n"
        "    rules:\n"
        "      - action: block\n"
        '        description: "a: b"\n'
        '        destinations: ["*", 10.0.0.0/8]\n'
        "users:\n"
        "  alice:\n"
        "    groups: [staff]\n"
        "    rules:\n"
        "      - action: allow\n"
        '        ports: ["443", 1-2]\n'
        "        enabled: false\n"
    )
    assert policy_text(ALLOW_ALL) == "default: allow\n"


@given(policies)
def test_what_is_written_is_read_as_the_same(policy):
    assert parse_policy(YAML(typ="safe").load(policy_text(policy))) == policy
