import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.address import Endpoint, pack, parse_endpoint, special_kind, unpack
from vpn.domain.errors import Invalid


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:1080", Endpoint("127.0.0.1", 1080)),
        ("[::1]:0", Endpoint("::1", 0)),
        ("localhost:65535", Endpoint("localhost", 65535)),
    ],
)
def test_endpoints_are_read_and_written(text, endpoint):
    assert parse_endpoint(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text", ["", "1080", ":1080", "host:", "host:x", "host:65536", "::1:80", "host:-1", "h:\u0661"]
)
def test_what_is_no_endpoint(text):
    with pytest.raises(Invalid) as caught:
        parse_endpoint(text)
    assert caught.value.code == "bad_endpoint"


@given(st.ip_addresses())
def test_addresses_are_packed_and_unpacked(address):
    assert pack(str(address)) == address.packed
    assert ipaddress.ip_address(unpack(address.packed)) == address


@pytest.mark.parametrize("name", ["", "example.com", "1.2.3", "127.1", "0x7f.0.0.1", "2130706433", "::g", "a\0b"])
def test_names_are_not_addresses(name):
    assert pack(name) is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.1.2.3", "private"),
        ("100.64.0.1", "private"),
        ("100.127.255.255", "private"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "private"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("fe80::1", "link-local"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::10.0.0.1", "private"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("2002:c0a8:101::1", "private"),
        ("2001:0:0:0:0:0:80ff:fffe", "reserved"),  # Teredo with 127.0.0.1 inside
    ],
)
def test_special_addresses(address, kind):
    assert special_kind(ipaddress.ip_address(address).packed) == kind


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "223.255.255.255",
        "2606:4700::1111",
        "64:ff9b::101:101",
        "::ffff:8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_public_addresses(address):
    assert special_kind(ipaddress.ip_address(address).packed) is None


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_not_global_is_let_through(address):
    if special_kind(address.packed) is None and address.version == 4:
        assert address.is_global
    if special_kind(address.packed) is None and address.version == 6 and address.sixtofour is None:
        assert not (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast)
