import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.address import pack
from vpn.domain.destination import parse_destination
from vpn.domain.errors import Invalid


def matches(pattern, host, port=443):
    return parse_destination(pattern).matches(host, pack(host), port)


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("example.com", ["example.com", "example.com."], ["www.example.com", "xample.com", "example.org"]),
        ("Example.COM.", ["example.com"], ["www.example.com"]),
        ("*.example.com", ["www.example.com"], ["example.com", "a.b.example.com", "notexample.com", ".example.com.x"]),
        ("**.example.com", ["www.example.com", "a.b.example.com"], ["example.com", "notexample.com"]),
        (".example.com", ["example.com", "www.example.com", "a.b.example.com"], ["notexample.com"]),
        ("localhost", ["localhost"], ["127.0.0.1", "localhost.example"]),
        ("_srv.x-y", ["_srv.x-y"], ["srv.x-y"]),
        ("192.0.2.1", ["192.0.2.1"], ["192.0.2.2", "192.0.2.1.example"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.0.0.1", "10.example"]),
        ("2001:db8::1", ["2001:db8::1", "2001:DB8:0::1"], ["2001:db8::2"]),
        ("[2001:db8::1]", ["2001:db8::1"], ["2001:db8::2"]),
        ("fd00::/8", ["fd12::1"], ["fe80::1"]),
        ("*", ["example.com", "192.0.2.1", "::1"], []),
    ],
)
def test_what_a_pattern_means(pattern, meant, not_meant):
    assert [host for host in [*meant, *not_meant] if matches(pattern, host)] == meant


@pytest.mark.parametrize(
    ("pattern", "host", "ports"),
    [
        ("example.com:443", "example.com", {443}),
        ("*.example.com:1-2", "www.example.com", {1, 2}),
        ("*:80", "192.0.2.1", {80}),
        ("10.0.0.0/8:22", "10.0.0.1", {22}),
        ("[2001:db8::1]:8000-8001", "2001:db8::1", {8000, 8001}),
        ("[fd00::/8]:65535", "fd00::1", {65535}),
    ],
)
def test_ports(pattern, host, ports):
    around = ports | {min(ports) - 1, max(ports) + 1, 0, 65535}
    assert {port for port in around if matches(pattern, host, port)} == ports


def test_an_address_without_brackets_has_no_port():
    assert matches("2001:db8::1:443", "2001:db8::1:443", 80)
    assert not matches("2001:db8::1:443", "2001:db8::1", 443)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "*.",
        "**",
        "***.example.com",
        "www.*.example.com",
        "a..b",
        "exa mple.com",
        "example.com:",
        "example.com:x",
        "example.com:2-1",
        "example.com:65536",
        "example.com:1-65536",
        "example.com:-1",
        "example.com:1:2",
        "http://example.com",
        "10.0.0.1/8",
        "10.0.0",
        "1.2.3.4.5",
        "[2001:db8::1",
        "[2001:db8::1]x",
        "x" * 256,
    ],
)
def test_what_is_no_pattern(text):
    with pytest.raises(Invalid, match="is no pattern of destinations") as caught:
        parse_destination(text)
    assert caught.value.code == "bad_destination"
    assert caught.value.hint


@given(st.text(max_size=40) | st.text(alphabet="*.:[]/-0189af", max_size=40))
def test_garbage_yields_only_the_domains_own_error(text):
    try:
        parse_destination(text).matches("example.com", None, 80)
    except Invalid:
        pass
