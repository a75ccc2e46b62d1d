"""SOCKS4 conversations, each in every fragmentation and with bytes behind it."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import socks4
from vpn.protocols.errors import SocksError
from vpn.protocols.events import Accept, Bind, Bound, Connect, Connected, Refusal, Refused

ADMITTED = partial(socks4.parse, admitted=True)
TO_V4 = b"\x04\x01\x00\x50\xc0\x00\x02\x01alice\x00"
CONNECTED = b"\x00\x5a\x9c\x40\xc0\x00\x02\x07"
BOUND = b"\x00\x5a\x9c\x41\xc0\x00\x02\x08"
PEER = b"\x00\x5a\x9c\x42\xc6\x33\x64\x09"
REFUSED = b"\x00\x5b" + bytes(6)


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (TO_V4, Connect("192.0.2.1", 80)),
        (b"\x04\x01\x01\xbb\xc0\x00\x02\x01\x00", Connect("192.0.2.1", 443)),
        (b"\x04\x01\x01\xbb\x00\x00\x00\x01alice\x00example.com\x00", Connect("example.com", 443)),
        (b"\x04\x01\x01\xbb\x00\x00\x00\xff\x00example.com\x00", Connect("example.com", 443)),
        (b"\x04\x01\x01\xbb\x00\x00\x00\x07\x002001:db8::1\x00", Connect("2001:db8::1", 443)),
        (b"\x04\x01\x01\xbb\x00\x00\x00\x07" + b"u" * 255 + b"\x00" + b"n" * 255 + b"\x00", Connect("n" * 255, 443)),
    ],
)
@pytest.mark.parametrize("early", [b"", b"GET / HTTP/1.1\r\n", b"\x00\x00"])
def test_connect(request_, wanted, early):
    for pieces in in_every_fragmentation(request_ + early):
        transcript = converse(ADMITTED, pieces)
        assert transcript.finished
        assert transcript.asked == [wanted]
        assert transcript.sent == [CONNECTED]
        assert transcript.rest == early


@pytest.mark.parametrize(
    "address", [b"\x00\x00\x00\x00", b"\x00\x00\x01\x01", b"\x00\x01\x00\x01", b"\x01\x00\x00\x01"]
)
def test_the_marker_of_4a_is_looked_at_in_all_four_octets(address):
    for pieces in in_every_fragmentation(b"\x04\x01\x00\x50" + address + b"\x00early\x00"):
        transcript = converse(ADMITTED, pieces)
        assert transcript.asked == [Connect(".".join(map(str, address)), 80)]
        assert transcript.rest == b"early\x00"


@pytest.mark.parametrize(
    ("destination", "wanted"),
    [
        (b"\x00\x50\xc0\x00\x02\x01\x00", Bind("192.0.2.1", 80)),
        (bytes(6) + b"\x00", Bind("0.0.0.0", 0)),
        (b"\x00\x00\x00\x00\x00\x01\x00example.com\x00", Bind("example.com", 0)),
    ],
)
@pytest.mark.parametrize("early", [b"", b"220 hello\r\n"])
def test_bind_has_two_replies(destination, wanted, early):
    for pieces in in_every_fragmentation(b"\x04\x02" + destination + early):
        transcript = converse(ADMITTED, pieces)
        assert transcript.finished
        assert transcript.asked == [wanted, Accept()]
        assert transcript.sent == [BOUND, PEER]
        assert transcript.rest == early


def test_there_is_no_room_for_ipv6_in_a_reply():
    connected = converse(ADMITTED, [TO_V4], outcome=Connected("fe80::1%eth0", 443))
    assert connected.sent == [b"\x00\x5a\x01\xbb" + bytes(4)]
    bound = converse(ADMITTED, [b"\x04\x02" + bytes(7)], bound=Bound("::1", 443), peer=Connected("::1", 1))
    assert bound.sent == [b"\x00\x5a\x01\xbb" + bytes(4), b"\x00\x5a\x00\x01" + bytes(4)]


@pytest.mark.parametrize("why", Refusal)
def test_every_refusal_is_91(why):
    connect = converse(ADMITTED, [TO_V4], outcome=Refused(why))
    bind = converse(ADMITTED, [b"\x04\x02" + bytes(7)], bound=Refused(why))
    nobody_came = converse(ADMITTED, [b"\x04\x02" + bytes(7)], peer=Refused(why))
    assert connect.replies == bind.replies == REFUSED
    assert nobody_came.replies == BOUND + REFUSED
    assert connect.error.reason == bind.error.reason == nobody_came.error.reason == why.value


@pytest.mark.parametrize(
    "request_", [TO_V4, b"\x04\x02" + bytes(7), b"\x04\x01\x00\x50\x00\x00\x00\x01alice\x00example.com\x00"]
)
def test_userid_is_never_an_authenticated_user(request_):
    for pieces in in_every_fragmentation(request_ + b"early"):
        transcript = converse(socks4.parse, pieces)
        assert transcript.asked == []
        assert transcript.replies == REFUSED
        assert transcript.error.reason == "authentication_required"
        assert transcript.rest == b"early"  # the whole request was read, so that the reply arrives


@pytest.mark.parametrize(
    ("sent", "reason", "reply"),
    [
        (b"\x05\x01\x00", "bad_version", b""),
        (b"\x00", "bad_version", b""),
        (b"\x04\x00\x00\x50\xc0\x00\x02\x01\x00", "unknown_command", REFUSED),
        (b"\x04\x03\x00\x50\xc0\x00\x02\x01\x00", "unknown_command", REFUSED),
        (b"\x04\x01\x00\x00\xc0\x00\x02\x01\x00", "bad_port", REFUSED),
        (b"\x04\x01\x00\x50\xc0\x00\x02\x01" + b"u" * 256, "user_too_long", REFUSED),
        (b"\x04\x01\x00\x50\x00\x00\x00\x01\x00" + b"n" * 256, "bad_name", REFUSED),
        (b"\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00", "bad_name", REFUSED),
        (b"\x04\x01\x00\x50\x00\x00\x00\x01\x00a b\x00", "bad_name", REFUSED),
        (b"\x04\x01\x00\x50\x00\x00\x00\x01\x00\xff\xfe\x00", "bad_name", REFUSED),
    ],
)
def test_malformed(sent, reason, reply):
    for pieces in in_every_fragmentation(sent):
        transcript = converse(ADMITTED, pieces)
        assert isinstance(transcript.error, SocksError)
        assert (transcript.error.reason, transcript.replies) == (reason, reply)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_yields_only_the_protocols_own_error(pieces):
    converse(ADMITTED, pieces)
    converse(ADMITTED, [b"\x04\x01\x00\x50\x00\x00\x00\x01", *pieces])
    assert converse(socks4.parse, [b"\x04", *pieces]).asked == []
