import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.protocols import socks_address


@pytest.mark.parametrize(
    ("host", "packed"),
    [
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("2001:db8::1", b"\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1")),
        ("fe80::1%eth0", b"\x04" + socket.inet_pton(socket.AF_INET6, "fe80::1")),
        ("example.com", b"\x03\x0bexample.com"),
        ("127.1", b"\x03\x05127.1"),  # what inet_aton would take for an address
        ("m\u00fcnchen", b"\x03\x08m\xc3\xbcnchen"),
        ("x" * 255, b"\x03\xff" + b"x" * 255),
    ],
)
def test_pack(host, packed):
    assert socks_address.pack(host, 443) == packed + b"\x01\xbb"


def test_a_name_of_256_bytes_has_no_place():
    with pytest.raises(ValueError, match="256"):
        socks_address.pack("x" * 256, 1)


@pytest.mark.parametrize("raw", [b"", b"a b", b"a\x00", b"\na", b"a\x7f", b"\xff\xfe", b"a\x1f"])
def test_what_cannot_be_a_name(raw):
    assert socks_address.name(raw) is None


@given(st.text(st.characters(min_codepoint=0x21, exclude_characters="\x7f", codec="utf-8"), min_size=1, max_size=50))
def test_names_are_what_was_sent(text):
    assert socks_address.name(text.encode()) == text
