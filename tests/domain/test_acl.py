from __future__ import annotations

from datetime import UTC, datetime
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import reference
from vpn.domain.acl import CompiledPolicy, Request, request_for
from vpn.domain.address import pack
from vpn.domain.errors import Invalid
from vpn.domain.policy import ALLOW_ALL, GroupRules, Policy, Rule, UserRules
from vpn.domain.policy_document import parse_policy

MONDAY = datetime(2026, 11, 16, 12, tzinfo=UTC).timestamp()
HOME = pack("192.0.2.7")
assert HOME is not None


def rule(action, *destinations, **fields):
    return {"action": action, **({"destinations": list(destinations)} if destinations else {}), **fields}


def compiled(*rules, default="block", country=None, **holders):
    document = {"default": default, "groups": {"everyone": {"rules": list(rules)}} if rules else {}}
    document["groups"].update(holders.get("groups", {}))
    return CompiledPolicy(parse_policy(document | {"users": holders.get("users", {})}), country)


def asked(host, port=443, *, packed=None, udp=False, source=HOME, now=MONDAY):
    request = request_for(host, port, udp=udp, source=source, now=now)
    if packed is not None:
        request.packed = pack(packed)
    return request


def decided(policy, host, port=443, *, user="alice", groups=(), **rest):
    return policy.pool(user, groups).decide(asked(host, port, **rest))


def allowed(policy, *arguments, **rest):
    return decided(policy, *arguments, **rest).allowed


def test_without_a_rule_the_default_decides():
    assert allowed(CompiledPolicy(ALLOW_ALL), "example.com")
    decision = decided(CompiledPolicy(Policy()), "example.com")
    assert (decision.allowed, decision.name, decision.rule) == (False, "default", None)
    assert decision.why == "no rule matches, and the default blocks it"


def test_a_rule_that_blocks_beats_all_that_allow():
    policy = compiled(rule("allow", "*", priority=1000), rule("block", ".example.com", priority=-5))
    assert decided(policy, "www.example.com").name == "groups.everyone.rules.1"
    assert allowed(policy, "example.org")


def test_the_higher_priority_decides_then_the_user_then_the_order():
    everyone = [rule("allow", "a.test", priority=1), rule("allow", "a.test", priority=2), rule("allow", "b.test")]
    policy = compiled(*everyone, rule("allow", "b.test"), users={"alice": {"rules": [rule("allow", "*")]}})
    assert decided(policy, "a.test").name == "groups.everyone.rules.1"
    assert decided(policy, "b.test").name == "users.alice.rules.0"
    assert decided(policy, "b.test", user="bob").name == "groups.everyone.rules.2"


def test_why_names_the_rule_and_says_what_it_is_for():
    policy = compiled(rule("block", "b.test", description="no bees"), rule("allow", "a.test"))
    assert decided(policy, "b.test").why == "groups.everyone.rules.0 blocks it: no bees"
    assert decided(policy, "a.test").why == "groups.everyone.rules.1 allows it"


def test_rules_of_a_users_groups_count_wherever_the_membership_comes_from():
    groups = {name: {"rules": [rule("allow", f"{name}.test")]} for name in ("staff", "ops")}
    policy = compiled(groups=groups, users={"alice": {"groups": ["Ops"]}})
    assert allowed(policy, "ops.test")
    assert not allowed(policy, "staff.test")
    assert allowed(policy, "staff.test", groups=("STAFF",))
    assert allowed(policy, "ops.test", user="ALICE")
    assert not allowed(policy, "ops.test", user="bob")


def test_users_of_whom_the_policy_says_nothing_share_a_pool():
    policy = compiled(users={"alice": {"rules": [rule("allow", "*")]}})
    assert policy.pool("bob", ("staff",)) is policy.pool("carol", ("staff",))
    assert policy.pool("bob") is not policy.pool("alice")


@pytest.mark.parametrize(
    ("destination", "meant", "not_meant"),
    [
        ("example.com", ["example.com", "EXAMPLE.com."], ["www.example.com", "example.org"]),
        ("*.example.com", ["www.example.com"], ["example.com", "a.b.example.com", "notexample.com"]),
        ("*.*.example.com", ["a.b.example.com"], ["b.example.com", "example.com", "a.b.c.example.com"]),
        ("**.example.com", ["www.example.com", "a.b.c.example.com"], ["example.com"]),
        (".example.com", ["example.com", "a.b.example.com"], ["notexample.com"]),
        ("Bücher.example", ["bücher.example", "BÜCHER.EXAMPLE.", "xn--bcher-kva.example"], ["bucher.example"]),
        ("10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "10.example"]),
        ("::ffff:10.0.0.0/104", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "a00::"]),
        ("2001:db8::/32", ["2001:db8::1"], ["2001:db9::1", "32.1.13.184"]),
        ("::/0", ["2001:db8::1"], ["192.0.2.1", "::ffff:192.0.2.1"]),
        ("0.0.0.0/0", ["192.0.2.1", "::ffff:192.0.2.1"], ["2001:db8::1", "example.com"]),
        ("*", ["example.com", "192.0.2.1", "::1", "bücher.example"], []),
    ],
)
def test_destinations(destination, meant, not_meant):
    policy = compiled(rule("allow", destination))
    assert [host for host in [*meant, *not_meant] if allowed(policy, host)] == meant


def test_ports_and_protocols_of_the_rule_and_of_the_destination_go_together():
    policy = compiled(
        rule("allow", "a.test", ports=["443", "8000-9000"], protocols="tcp"),
        rule("allow", "b.test:80-90", "c.test", ports="85-95", protocols="udp"),
    )
    assert [p for p in (0, 442, 443, 444, 7999, 8000, 9000, 9001, 65535) if allowed(policy, "a.test", p)] == [
        443,
        8000,
        9000,
    ]
    assert not allowed(policy, "a.test", 443, udp=True)
    assert [p for p in (80, 84, 85, 90, 91, 95) if allowed(policy, "b.test", p, udp=True)] == [85, 90]
    assert [p for p in (80, 84, 85, 90, 91, 95, 96) if allowed(policy, "c.test", p, udp=True)] == [85, 90, 91, 95]


def test_sources():
    policy = compiled(rule("allow", sources=["192.0.2.0/24", "2001:db8::/32"]))
    hosts = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::9", "192.0.3.1", "2001:db9::1"]
    assert [host for host in hosts if allowed(policy, "a.test", source=pack(host))] == hosts[:3]


def test_hours():
    policy = compiled(rule("allow", hours=["mon 12:00-13:00"], timezone="Europe/Berlin"))
    assert not allowed(policy, "a.test", now=MONDAY)  # 13:00 there
    assert allowed(policy, "a.test", now=MONDAY - 1)
    assert policy.next_change(MONDAY - 1) == MONDAY
    assert compiled(rule("allow")).next_change(MONDAY) == inf


def test_a_condition_that_does_not_hold_leaves_the_next_rule_to_decide():
    policy = compiled(
        rule("block", "a.test", sources=["10.0.0.0/8"]), rule("block", "a.test", hours=["sat"]), rule("allow", "a.test")
    )
    assert decided(policy, "a.test").name == "groups.everyone.rules.2"
    assert decided(policy, "a.test", source=pack("10.1.1.1")).name == "groups.everyone.rules.0"
    assert decided(policy, "a.test", now=MONDAY + 5 * 86400).name == "groups.everyone.rules.1"


def test_disabled_rules_do_not_count():
    policy = compiled(rule("block", "10.0.0.0/8", enabled=False, hours=["mon"]), default="allow")
    assert allowed(policy, "10.0.0.1")
    assert not policy.pool("alice").by_address


def test_no_name_leads_round_a_rule_about_a_network():
    policy = compiled(rule("allow", ".example.com"), rule("block", "10.0.0.0/8"))
    assert decided(policy, "www.example.com", packed="10.0.0.1").name == "groups.everyone.rules.1"
    assert allowed(policy, "www.example.com", packed="192.0.2.1")


def test_countries():
    codes = {pack("192.0.2.1"): "DE", pack("2001:db8::1"): "FR"}
    policy = compiled(rule("allow", "country:de", "country:FR:80"), country=lambda packed: codes.get(packed, ""))
    assert allowed(policy, "192.0.2.1")
    assert allowed(policy, "::ffff:192.0.2.1")
    assert allowed(policy, "a.test", packed="192.0.2.1")
    assert not allowed(policy, "192.0.2.2")
    assert [port for port in (80, 443) if allowed(policy, "2001:db8::1", port)] == [80]


def test_a_country_that_cannot_be_told_is_an_error():
    with pytest.raises(Invalid, match="country:DE"):
        compiled(rule("block", "country:DE"))


@pytest.mark.parametrize(
    ("rules", "default", "foreseen"),
    [
        ([], "allow", True),
        ([], "block", False),
        (["block a.test"], "allow", False),
        (["allow a.test"], "block", True),
        (["allow b.test"], "block", False),
        (["block a.test", "allow 10.0.0.0/8"], "allow", False),
        (["allow a.test", "block 10.0.0.0/8"], "block", None),
        (["allow a.test", "allow 10.0.0.0/8"], "block", None),
        (["block 10.0.0.0/8"], "allow", None),
        (["block 10.0.0.0/8"], "block", False),  # nothing could allow it any more
        (["allow 10.0.0.0/8"], "block", None),
        (["block country:DE"], "allow", None),
    ],
)
def test_what_is_known_before_a_name_is_resolved(rules, default, foreseen):
    policy = compiled(*(rule(*each.split()) for each in rules), default=default, country=lambda packed: "DE")
    decision = policy.pool("alice").foresee(asked("a.test"))
    assert (None if decision is None else decision.allowed) is foreseen


def test_an_address_is_decided_at_once():
    policy = compiled(rule("block", "10.0.0.0/8"), default="allow")
    decision = policy.pool("alice").foresee(asked("10.0.0.1"))
    assert decision is not None
    assert not decision.allowed


# --- against the reference

NAMES = ["test", "a.test", "b.a.test", "c.b.a.test", "xa.test", "other"]
ADDRESSES = ["10.0.0.1", "10.0.1.1", "192.0.2.1", "::ffff:10.0.0.1", "2001:db8::1", "::1", "::ffff:0:0"]
COUNTRIES = {pack("10.0.0.1"): "DE", pack("192.0.2.1"): "FR", pack("2001:db8::1"): "DE"}
PATTERNS = [
    "*",
    *NAMES,
    *(kind + name for kind in (".", "*.", "**.", "*.*.") for name in ("test", "A.Test", "b.a.test.")),
    *ADDRESSES[:3],
    "10.0.0.0/8",
    "10.0.0.0/24",
    "0.0.0.0/0",
    "::/0",
    "::ffff:0:0/96",
    "::ffff:10.0.0.0/120",
    "2001:db8::/32",
    "2001:db8::1",
    "country:DE",
    "country:fr",
]
PORTS = [0, 1, 79, 80, 81, 443, 65534, 65535]
SOURCES = ["10.0.0.0/8", "192.0.2.0/24", "::ffff:192.0.2.0/120", "2001:db8::/32", "10.0.0.1"]
HOURS = ["mon,tue 08:00-18:00", "mon 12:00-13:00", "sun 00:00-24:00", "fri 23:00-24:00"]


@st.composite
def spans(draw):
    first, last = sorted((draw(st.sampled_from(PORTS)), draw(st.sampled_from(PORTS))))
    return f"{first}-{last}" if first != last else str(first)


@st.composite
def destinations(draw):
    pattern = draw(st.sampled_from(PATTERNS))
    if draw(st.integers(0, 4)):
        return pattern
    bracketed = f"[{pattern}]" if ":" in pattern and not pattern.startswith("country:") else pattern
    return f"{bracketed}:{draw(spans())}"


@st.composite
def rules(draw):
    return Rule(
        action=draw(st.sampled_from(["allow", "allow", "block"])),
        destinations=tuple(draw(st.lists(destinations(), min_size=1, max_size=3))),
        ports=tuple(draw(st.just(["*"]) | st.lists(spans(), min_size=1, max_size=3))),
        protocols=draw(st.sampled_from([("tcp", "udp"), ("tcp",), ("udp",)])),
        sources=tuple(draw(st.just([]) | st.lists(st.sampled_from(SOURCES), max_size=2))),
        hours=tuple(draw(st.just([]) | st.lists(st.sampled_from(HOURS), max_size=2))),
        timezone=draw(st.sampled_from(["UTC", "America/New_York"])),
        priority=draw(st.integers(-1, 1)),
        enabled=draw(st.sampled_from([True, True, True, False])),
    )


@st.composite
def policies(draw):
    some = st.lists(rules(), max_size=8).map(tuple)
    groups = draw(st.dictionaries(st.sampled_from(["everyone", "staff", "ops"]), some))
    users = draw(
        st.dictionaries(
            st.sampled_from(["alice", "bob"]),
            st.builds(UserRules, st.lists(st.sampled_from(["staff", "ops"]), unique=True).map(tuple), some),
        )
    )
    return Policy(
        default=draw(st.sampled_from(["allow", "block"])),
        groups={name: GroupRules(each) for name, each in groups.items()},
        users=users,
    )


@st.composite
def requests(draw):
    host = draw(st.sampled_from([*NAMES, "A.TEST.", "B.a.Test", *ADDRESSES]))
    request = request_for(
        host,
        draw(st.sampled_from(PORTS)),
        udp=draw(st.booleans()),
        source=pack(draw(st.sampled_from([*ADDRESSES, "192.0.2.200", "::ffff:192.0.2.200"]))),
        now=MONDAY + draw(st.integers(0, 7 * 24 * 4)) * 900,
    )
    if request.packed is None and draw(st.booleans()):
        request.packed = pack(draw(st.sampled_from(ADDRESSES)))
    return request


@settings(max_examples=100, deadline=None)
@given(policies(), st.lists(requests(), min_size=1, max_size=10), st.sampled_from([(), ("Staff",), ("ops", "staff")]))
def test_it_decides_as_looking_at_every_rule_does(policy, asked, groups):
    compiled = CompiledPolicy(policy, lambda packed: COUNTRIES.get(packed, ""))
    for user in ("Alice", "bob", "carol"):
        pool = compiled.pool(user, groups)
        for request in asked:
            assert pool.decide(request).name == reference.decide(policy, user, groups, request, COUNTRIES)


@settings(max_examples=100, deadline=None)
@given(policies(), requests())
def test_what_is_foreseen_is_what_comes(policy, request_):
    pool = CompiledPolicy(policy, lambda packed: COUNTRIES.get(packed, "")).pool("alice")
    foreseen = pool.foresee(Request(request_.host, None, request_.port, request_.udp, request_.source, request_.now))
    if request_.host and foreseen is not None:
        for address in ADDRESSES:
            request_.packed = pack(address)
            assert pool.decide(request_).allowed == foreseen.allowed


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"default": "allow"}, True),
        ({"default": "block"}, False),
        ({"default": "allow", "users": {"a": {"rules": [{"action": "allow", "destinations": ["*"]}]}}}, False),
        ({"default": "allow", "users": {"a": {"rules": [{"action": "block", "destinations": ["x.test"]}]}}}, False),
        (
            {
                "default": "allow",
                "users": {"a": {"rules": [{"action": "block", "destinations": ["*"], "enabled": False}]}},
            },
            True,
        ),
    ],
)
def test_whether_nothing_is_forbidden_is_known(document, expected):
    assert CompiledPolicy(parse_policy(document)).allows_all is expected
