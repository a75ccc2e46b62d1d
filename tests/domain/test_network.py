import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.address import pack
from vpn.domain.errors import Invalid
from vpn.domain.network import any_holds, parse_network, parse_networks


@pytest.mark.parametrize("text", ["10.0.0.0/8", "192.0.2.1/32", "0.0.0.0/0", "2001:db8::/33", "::1/128", "::/0"])
def test_a_network_is_written_as_it_is_read(text):
    assert str(parse_network(text)) == text


def packed(text):
    address = pack(text)
    assert address is not None
    return address


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "::ffff:10.0.0.1"]),
        ("192.0.2.1", ["192.0.2.1"], ["192.0.2.0", "192.0.2.2"]),
        ("192.0.2.1/32", ["192.0.2.1"], ["192.0.2.2"]),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::"]),
        ("fd00::/8", ["fd00::", "fdff:ffff::1"], ["fc00::", "fe00::"]),
        ("::1", ["::1"], ["::2", "0.0.0.1"]),
        ("::/0", ["::", "ffff::"], ["0.0.0.0"]),
    ],
)
def test_what_a_network_holds(network, inside, outside):
    parsed = parse_network(network)
    assert all(parsed.holds(packed(address)) for address in inside)
    assert not any(parsed.holds(packed(address)) for address in outside)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "write it as"),
        ("/8", "write it as"),
        ("10.0.0.0/", "write it as"),
        ("10.0.0.0/x", "write it as"),
        ("10.0.0.0/-1", "write it as"),
        ("10.0.0.0/\u0668", "write it as"),
        ("10.0.0.0/0008", "write it as"),
        ("10.0.0/8", "write it as"),
        ("10.0.0.0/8/8", "write it as"),
        ("example.com", "write it as"),
        ("fe80::1%eth0", "write it as"),
        ("10.0.0.0/33", "at most 32"),
        ("::/129", "at most 128"),
        ("10.0.0.1/8", "last 24 bits must be zero"),
        ("fd00::1/8", "last 120 bits must be zero"),
    ],
)
def test_what_is_no_network(text, hint):
    with pytest.raises(Invalid, match="is not a network") as caught:
        parse_network(text)
    assert caught.value.code == "bad_network"
    assert hint in caught.value.hint


def test_several():
    networks = parse_networks(["10.0.0.0/8", "::1"])
    assert any_holds(networks, packed("10.1.2.3"))
    assert any_holds(networks, packed("::1"))
    assert not any_holds(networks, packed("192.0.2.1"))
    assert not any_holds((), packed("192.0.2.1"))
    with pytest.raises(Invalid):
        parse_networks(["10.0.0.0/8", "x"])


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.data())
def test_the_standard_library_agrees(address, data):
    length = data.draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    other = data.draw(st.ip_addresses(v=address.version))
    assert parse_network(str(network)).holds(address.packed)
    assert parse_network(str(network)).holds(other.packed) == (other in network)
