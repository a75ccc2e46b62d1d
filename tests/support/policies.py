"""Policies that nobody thinks of."""

from __future__ import annotations

from hypothesis import strategies as st

from vpn.domain.policy import GroupRules, Policy, Rule, UserRules

names = st.sampled_from(["alice", "bob.b", "everyone", "1984", "true", "null", "no", "a@b", "x+y", "1-2", "_", "1e3"])
_destinations = st.sampled_from(
    [
        "*",
        "*:443",
        "example.com",
        "*.Example.COM.",
        ".x",
        "10.0.0.0/8",
        "::1",
        "[::1]:80-90",
        "bücher.example",
        "1.2.3.4",
    ]
)
_ports = st.sampled_from(["*", "443", "0", "8000-9000", "65535"])
_descriptions = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="\u2028\u2029\ufeff"), max_size=20
)


def _some(items: st.SearchStrategy[str], least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, min_size=least, max_size=3).map(tuple)


rules = st.builds(
    Rule,
    action=st.sampled_from(["allow", "block"]),
    description=_descriptions,
    destinations=_some(_destinations),
    ports=_some(_ports),
    protocols=st.sampled_from([("tcp",), ("udp",), ("tcp", "udp")]),
    sources=_some(st.sampled_from(["10.0.0.0/8", "::1"]), 0),
    hours=_some(st.sampled_from(["mon-fri 08:00-18:00", "sat,sun", "22:00-06:00", "*"]), 0),
    timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
    priority=st.integers(-1_000_000, 1_000_000),
    enabled=st.booleans(),
)
_lists = st.lists(rules, max_size=3).map(tuple)
policies = st.builds(
    Policy,
    default=st.sampled_from(["allow", "block"]),
    groups=st.dictionaries(names, st.builds(GroupRules, _lists), max_size=3),
    users=st.dictionaries(
        names, st.builds(UserRules, st.lists(names, unique=True, max_size=2).map(tuple), _lists), max_size=3
    ),
)
