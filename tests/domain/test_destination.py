import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.address import pack
from vpn.domain.destination import normal_name, parse_destination
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
        ("*.*.example.com", ["a.b.example.com"], ["b.example.com", "a.b.c.example.com", "example.com"]),
        (".Bücher.example", ["xn--bcher-kva.example", "www.xn--bcher-kva.example"], ["bcher.example"]),
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


def test_countries_are_patterns_only_where_they_can_be_told():
    assert parse_destination("country:de", countries=True)[1:] == ("country:", "DE", 0, 65535)
    assert parse_destination("country:FR:80-90", countries=True)[1:] == ("country:", "FR", 80, 90)
    assert not parse_destination("country:DE", countries=True).matches("de", None, 80)
    for text in ("country:DE", "country:DE:443"):
        with pytest.raises(Invalid):
            parse_destination(text)
    for text in ("country:", "country:DEU", "country:D1", "country:ÄÖ", "country:DE:x"):
        with pytest.raises(Invalid):
            parse_destination(text, countries=True)


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("WWW.Example.COM.", "www.example.com"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("a。b", "a.b"),
        ("ü" * 100, "ü" * 100),
        ("", ""),
    ],
)
def test_the_form_in_which_names_are_compared(host, normal):
    assert normal_name(host) == normal


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
