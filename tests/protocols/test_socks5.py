"""SOCKS5 conversations, each in every fragmentation and with bytes behind it."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import socks5
from vpn.protocols.errors import SocksError
from vpn.protocols.events import Authenticate, Connect, Connected, Refusal, Refused

GREETING = b"\x05\x01\x02"
LOGIN = b"\x01\x05alice\x06s3cret"
TO_V4 = b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"
TO_V6 = b"\x05\x01\x00\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x01\xbb"
TO_NAME = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
WELCOME = b"\x05\x02\x01\x00"


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (TO_V4, Connect("192.0.2.1", 80)),
        (TO_V6, Connect("2001:db8::1", 443)),
        (TO_NAME, Connect("example.com", 443)),
        (b"\x05\x01\x00\x03\x08m\xc3\xbcnchen" + b"\x00\x01", Connect("m\u00fcnchen", 1)),
    ],
)
@pytest.mark.parametrize("early", [b"", b"GET / HTTP/1.1\r\n"])
def test_connect(request_, wanted, early):
    for pieces in in_every_fragmentation(GREETING + LOGIN + request_ + early):
        transcript = converse(socks5.parse, pieces)
        assert transcript.finished
        assert transcript.asked == [Authenticate("alice", "s3cret"), wanted]
        assert transcript.replies == WELCOME + b"\x05\x00\x00\x01\xc0\x00\x02\x07\x9c\x40"
        assert transcript.rest == early


def test_bound_address_can_be_ipv6():
    transcript = converse(socks5.parse, [GREETING + LOGIN + TO_V6], outcome=Connected("fe80::1%eth0", 1))
    assert transcript.sent[-1] == b"\x05\x00\x00\x04" + socket.inet_pton(socket.AF_INET6, "fe80::1") + b"\x00\x01"


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (Refusal.FAILED, 1),
        (Refusal.NOT_ALLOWED, 2),
        (Refusal.NETWORK_UNREACHABLE, 3),
        (Refusal.HOST_UNREACHABLE, 4),
        (Refusal.NAME_NOT_FOUND, 4),
        (Refusal.TIMED_OUT, 4),
        (Refusal.CONNECTION_REFUSED, 5),
    ],
)
def test_refusals_have_their_codes(why, code):
    transcript = converse(socks5.parse, [GREETING + LOGIN + TO_V4], outcome=Refused(why))
    assert transcript.replies == WELCOME + bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0])
    assert transcript.error is not None
    assert transcript.error.reason == why.value


@pytest.mark.parametrize("methods", [b"\x00", b"\x00\x01", b""])
def test_no_acceptable_method(methods):
    transcript = converse(socks5.parse, [bytes([5, len(methods)]) + methods])
    assert transcript.replies == b"\x05\xff"
    assert transcript.asked == []


@pytest.mark.parametrize("login", [b"\x01\x05alice\x05wrong", b"\x01\x03bob\x06s3cret", b"\x01\x00\x00"])
def test_wrong_credentials(login):
    for pieces in in_every_fragmentation(GREETING + login + TO_V4):
        transcript = converse(socks5.parse, pieces)
        assert transcript.replies == b"\x05\x02\x01\x01"
        assert transcript.error is not None
        assert transcript.error.reason == "authentication_failed"


def test_credentials_that_are_not_utf8_match_nobody():
    transcript = converse(socks5.parse, [GREETING + b"\x01\x05alice\x02\xff\xfe"])
    assert transcript.replies == b"\x05\x02\x01\x01"


@pytest.mark.parametrize("command", [0, 2, 3, 4, 255])
def test_other_commands_are_answered(command):
    request = bytes([5, command]) + TO_V4[2:]
    transcript = converse(socks5.parse, [GREETING + LOGIN + request])
    assert transcript.replies == WELCOME + b"\x05\x07\x00\x01" + bytes(6)


@pytest.mark.parametrize("kind", [0, 2, 5, 255])
def test_other_address_types_are_answered(kind):
    transcript = converse(socks5.parse, [GREETING + LOGIN + bytes([5, 1, 0, kind])])
    assert transcript.replies == WELCOME + b"\x05\x08\x00\x01" + bytes(6)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x04\x01", "bad_version"),
        (GREETING + b"\x02\x05", "bad_auth_version"),
        (GREETING + LOGIN + b"\x04\x01\x00\x01", "bad_request"),
        (GREETING + LOGIN + b"\x05\x01\x01\x01", "bad_request"),
        (GREETING + LOGIN + b"\x05\x01\x00\x03\x00\x00\x50", "bad_name"),
        (GREETING + LOGIN + b"\x05\x01\x00\x03\x03a\x00b\x00\x50", "bad_name"),
        (GREETING + LOGIN + b"\x05\x01\x00\x03\x02\xff\xfe\x00\x50", "bad_name"),
    ],
)
def test_malformed(sent, reason):
    for pieces in in_every_fragmentation(sent):
        transcript = converse(socks5.parse, pieces)
        assert isinstance(transcript.error, SocksError)
        assert transcript.error.reason == reason


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_yields_only_the_protocols_own_error(pieces):
    converse(socks5.parse, pieces)


@given(st.binary(max_size=300))
def test_garbage_behind_a_login_too(garbage):
    transcript = converse(socks5.parse, [GREETING + LOGIN, garbage])
    assert transcript.error is None or isinstance(transcript.error, SocksError)
    if transcript.finished:
        assert isinstance(transcript.asked[-1], Connect)
