from types import SimpleNamespace

import pytest

from vpn.domain.acl import CompiledPolicy, request_for
from vpn.domain.address import pack
from vpn.domain.policy_document import parse_policy
from vpn.domain.session import Session
from vpn.proxy.judge import Guard, Judge, Open

RULES = [
    {"action": "allow", "destinations": ["example.com"]},
    {"action": "block", "destinations": ["192.0.2.0/24"], "priority": 1},
]


def core(private=False, pool=None):
    return SimpleNamespace(outgoing=SimpleNamespace(private_destinations=private), pool=pool)


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1", "loopback_destination"), ("10.0.0.1", "private_destination"), ("8.8.8.8", "")],
)
def test_the_guard_keeps_everybody_from_what_is_not_public(address, why):
    assert Guard(core()).forbids(pack(address)) == why
    assert Guard(core(private=True)).forbids(pack(address)) == ""
    assert Open(core()).forbids(pack(address)) == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_the_address_of_nobody_is_no_other_way_to_write_this_machines(address):
    assert Guard(core(private=True)).forbids(pack(address)) == "unspecified_destination"


@pytest.mark.parametrize(
    ("address", "why", "rule"),
    [
        ("9.9.9.9", "", "users.alice.rules.0"),
        ("192.0.2.7", "blocked_by_rule", "users.alice.rules.1"),
        ("::ffff:192.0.2.7", "blocked_by_rule", "users.alice.rules.1"),
        ("127.0.0.1", "loopback_destination", ""),
    ],
)
def test_an_address_is_judged_by_guard_and_rules_and_the_rule_is_noted(address, why, rule, monkeypatch):
    monkeypatch.setattr(
        "vpn.domain.guard.special_kind", lambda packed: "loopback" if packed == pack("127.0.0.1") else None
    )
    policy = CompiledPolicy(parse_policy({"default": "block", "users": {"alice": {"rules": RULES}}}))
    session = Session(1, "main", "192.0.2.1", 1, 0.0, user="alice")
    request = request_for("example.com", 80, udp=False, source=b"", now=0.0)
    judge = Judge(core(pool=policy.pool), request, session)
    assert (judge.forbids(pack(address)), session.rule) == (why, rule)
