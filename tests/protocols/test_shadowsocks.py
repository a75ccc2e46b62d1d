"""What clients of Shadowsocks want, in every fragmentation and with bytes behind it."""

import socket
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import shadowsocks
from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import Connect, Refusal, Refused

TO_V4 = b"\x01\xc0\x00\x02\x01\x00\x50"
ADMITTED = partial(shadowsocks.parse, admitted=True)


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (TO_V4, Connect("192.0.2.1", 80)),
        (b"\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x01\xbb", Connect("2001:db8::1", 443)),
        (b"\x03\x0bexample.com\x01\xbb", Connect("example.com", 443)),
        (b"\x03\x08m\xc3\xbcnchen" + b"\x00\x01", Connect("m\u00fcnchen", 1)),
    ],
)
@pytest.mark.parametrize("early", [b"", b"GET / HTTP/1.1\r\n"])
def test_connect(request_, wanted, early):
    for pieces in in_every_fragmentation(request_ + early):
        transcript = converse(ADMITTED, pieces)
        assert transcript.finished
        assert transcript.asked == [wanted]
        assert transcript.replies == b""
        assert transcript.rest == early


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"\x01\xc0\x00\x02\x01\x00\x00", "bad_port"),
        (b"\x03\x00\x00\x50", "bad_name"),
        (b"\x03\x03a b\x00\x50", "bad_name"),
        (b"\x02", "unknown_address_type"),
        (b"\x13", "unknown_address_type"),
    ],
)
def test_what_is_none_is_refused_without_a_word(request_, reason):
    for pieces in in_every_fragmentation(request_):
        transcript = converse(ADMITTED, pieces)
        assert transcript.error is not None
        assert (transcript.error.reason, transcript.replies, transcript.asked) == (reason, b"", [])


@pytest.mark.parametrize("why", Refusal)
def test_a_refusal_is_not_told(why):
    transcript = converse(ADMITTED, [TO_V4], outcome=Refused(why))
    assert transcript.error is not None
    assert (transcript.error.reason, transcript.replies) == (why.value, b"")


def test_whose_key_is_nobodys_gets_nowhere():
    transcript = converse(shadowsocks.parse, [TO_V4])
    assert transcript.error is not None
    assert (transcript.error.reason, transcript.asked) == ("authentication_failed", [])


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_garbage_raises_only_the_protocols_error(pieces):
    transcript = converse(ADMITTED, pieces)
    assert transcript.error is None or type(transcript.error) is ProtocolError
