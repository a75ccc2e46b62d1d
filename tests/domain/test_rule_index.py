from __future__ import annotations

import pytest

from vpn.domain.address import pack
from vpn.domain.destination import parse_destination
from vpn.domain.network import parse_network
from vpn.domain.rule_index import Index, plain_address, plain_network
from vpn.domain.rule_slot import END

PATTERNS = ["*", "a.test", "*.a.test", "**.test", ".b.test", "*.*.test", "10.0.0.0/8", "10.0.0.1", "::1", "country:DE"]


@pytest.fixture(name="index")
def filled():
    index = Index()
    for number, text in enumerate(PATTERNS):
        index.add(parse_destination(text, countries=True), 7, (number, 0, END - 1, 0))
    index.seal(len(PATTERNS))
    return index


@pytest.mark.parametrize(
    ("host", "address", "found"),
    [
        ("a.test", None, {"*", "a.test", "**.test"}),
        ("b.a.test", None, {"*", "*.a.test", "**.test", "*.*.test"}),
        ("c.b.a.test", None, {"*", "**.test"}),
        ("b.test", None, {"*", ".b.test", "**.test"}),
        ("x.b.test", None, {"*", ".b.test", "**.test", "*.*.test"}),
        ("test", None, {"*"}),
        ("", "10.0.0.1", {"*", "10.0.0.0/8", "10.0.0.1", "country:DE"}),
        ("", "::1", {"*", "::1"}),
        ("a.test", "10.0.0.2", {"*", "a.test", "**.test", "10.0.0.0/8"}),
        ("", None, {"*"}),
        ("..", None, {"*"}),
    ],
)
def test_what_is_found(index, host, address, found):
    packed = pack(address) if address else None
    buckets = index.find(host, packed, lambda packed: "DE" if packed == pack("10.0.0.1") else "")
    assert {PATTERNS[bucket[7][1][0]] for bucket in buckets} == found


def test_countries_are_not_told_where_no_rule_asks():
    index = Index()
    index.seal(0)
    assert index.find("", pack("10.0.0.1"), lambda packed: pytest.fail("asked")) == []


def test_mapped_addresses_are_the_addresses_in_them():
    assert plain_address(pack("::ffff:10.0.0.1")) == pack("10.0.0.1")
    assert plain_address(pack("::10.0.0.1")) == pack("::10.0.0.1")
    assert plain_network(parse_network("::ffff:10.0.0.0/104")) == parse_network("10.0.0.0/8")
    assert plain_network(parse_network("::ffff:0:0/96")) == parse_network("0.0.0.0/0")
    assert plain_network(parse_network("::/0")) == parse_network("::/0")
    assert plain_network(parse_network("::fffe:0:0/96")) == parse_network("::fffe:0:0/96")
