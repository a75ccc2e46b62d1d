"""SOCKS5 conversations, each in every fragmentation and with bytes behind it."""

import socket
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import socks5
from vpn.protocols.errors import SocksError
from vpn.protocols.events import Accept, Associate, Authenticate, Bind, Bound, Connect, Connected, Refusal, Refused

GREETING = b"\x05\x01\x02"
LOGIN = b"\x01\x05alice\x06s3cret"
TO_V4 = b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"
TO_V6 = b"\x05\x01\x00\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x01\xbb"
TO_NAME = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
WELCOME = b"\x05\x02\x01\x00"
ADMITTED = partial(socks5.parse, admitted=True)
CONNECTED = b"\x05\x00\x00\x01\xc0\x00\x02\x07\x9c\x40"
BOUND = b"\x05\x00\x00\x01\xc0\x00\x02\x08\x9c\x41"
PEER = b"\x05\x00\x00\x01\xc6\x33\x64\x09\x9c\x42"


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
        assert transcript.replies == WELCOME + CONNECTED
        assert transcript.rest == early


@pytest.mark.parametrize(
    ("destination", "wanted"),
    [
        (b"\x01\xc0\x00\x02\x01\x00\x50", Bind("192.0.2.1", 80)),
        (b"\x01" + bytes(6), Bind("0.0.0.0", 0)),
        (b"\x04" + bytes(18), Bind("::", 0)),
        (b"\x03\x0bexample.com\x00\x00", Bind("example.com", 0)),
    ],
)
@pytest.mark.parametrize("early", [b"", b"220 hello\r\n"])
def test_bind_has_two_replies(destination, wanted, early):
    for pieces in in_every_fragmentation(GREETING + LOGIN + b"\x05\x02\x00" + destination + early):
        transcript = converse(socks5.parse, pieces)
        assert transcript.finished
        assert transcript.asked == [Authenticate("alice", "s3cret"), wanted, Accept()]
        assert transcript.sent[2:] == [BOUND, PEER]
        assert transcript.rest == early


@pytest.mark.parametrize("why", Refusal)
def test_bind_can_be_refused_before_and_after_it_waits(why):
    sent = GREETING + LOGIN + b"\x05\x02\x00\x01" + bytes(6)
    at_once = converse(socks5.parse, [sent], bound=Refused(why))
    nobody_came = converse(socks5.parse, [sent], peer=Refused(why))
    refusal = converse(socks5.parse, [GREETING + LOGIN + TO_V4], outcome=Refused(why)).error.reply
    assert at_once.replies == WELCOME + refusal
    assert nobody_came.replies == WELCOME + BOUND + refusal
    assert at_once.error.reason == nobody_came.error.reason == why.value


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (b"\x01" + bytes(6), Associate("0.0.0.0", 0)),
        (b"\x01\xc0\x00\x02\x01\x13\x88", Associate("192.0.2.1", 5000)),
        (b"\x04" + bytes(18), Associate("::", 0)),
    ],
)
@pytest.mark.parametrize("late", [b"", b"what is behind is nobody's"])
def test_udp_associate_has_one_reply_and_ends(source, wanted, late):
    for pieces in in_every_fragmentation(GREETING + LOGIN + b"\x05\x03\x00" + source + late):
        transcript = converse(socks5.parse, pieces)
        assert transcript.finished
        assert transcript.asked == [Authenticate("alice", "s3cret"), wanted]
        assert transcript.sent[2:] == [BOUND]
        assert transcript.rest == late


def test_udp_associate_can_be_refused_and_be_on_ipv6():
    sent = GREETING + LOGIN + b"\x05\x03\x00\x01" + bytes(6)
    refused = converse(socks5.parse, [sent], bound=Refused(Refusal.NOT_ALLOWED))
    assert refused.replies == WELCOME + b"\x05\x02\x00\x01" + bytes(6)
    bound = converse(socks5.parse, [sent], bound=Bound("2001:db8::1", 1))
    assert bound.sent[-1] == b"\x05\x00\x00\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x00\x01"


@pytest.mark.parametrize("kind", [TO_V4[3:-2], TO_V6[3:-2], TO_NAME[3:-2]])
def test_nobody_connects_to_port_0(kind):
    transcript = converse(socks5.parse, [GREETING + LOGIN + b"\x05\x01\x00" + kind + b"\x00\x00"])
    assert transcript.replies == WELCOME + b"\x05\x01\x00\x01" + bytes(6)
    assert transcript.error.reason == "bad_port"


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


@pytest.mark.parametrize("methods", [b"\x00", b"\x01\x00", b"\x00\x00\x80"])
def test_an_admitted_client_needs_no_credentials(methods):
    for pieces in in_every_fragmentation(bytes([5, len(methods)]) + methods + TO_V4 + b"early"):
        transcript = converse(ADMITTED, pieces)
        assert transcript.finished
        assert transcript.asked == [Connect("192.0.2.1", 80)]
        assert transcript.sent == [b"\x05\x00", CONNECTED]
        assert transcript.rest == b"early"


@pytest.mark.parametrize("methods", [b"\x02", b"\x00\x02", b"\x02\x00"])
def test_an_admitted_client_who_can_name_itself_is_asked(methods):
    for pieces in in_every_fragmentation(bytes([5, len(methods)]) + methods + LOGIN + TO_V4):
        transcript = converse(ADMITTED, pieces)
        assert transcript.asked == [Authenticate("alice", "s3cret"), Connect("192.0.2.1", 80)]
        assert transcript.replies == WELCOME + CONNECTED


@pytest.mark.parametrize("login", [b"\x01\x00\x00", b"\x01\x00\x05wrong"])
def test_an_empty_name_of_an_admitted_client_is_no_name(login):
    for pieces in in_every_fragmentation(GREETING + login + TO_V4):
        transcript = converse(ADMITTED, pieces)
        assert transcript.asked == [Connect("192.0.2.1", 80)]
        assert transcript.replies == WELCOME + CONNECTED


def test_a_wrong_password_is_refused_from_an_admitted_client_too():
    transcript = converse(ADMITTED, [GREETING + b"\x01\x05alice\x05wrong" + TO_V4])
    assert transcript.replies == b"\x05\x02\x01\x01"
    assert transcript.error.reason == "authentication_failed"


@pytest.mark.parametrize("methods", [b"", b"\x01", b"\x03\x80\xff"])
def test_no_acceptable_method_of_an_admitted_client(methods):
    transcript = converse(ADMITTED, [bytes([5, len(methods)]) + methods])
    assert transcript.replies == b"\x05\xff"


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


@pytest.mark.parametrize("command", [0, 4, 255])
@pytest.mark.parametrize("destination", [TO_V4[2:], TO_V6[2:], TO_NAME[2:], b"\x00\x01" + bytes(6)])
def test_unknown_commands_are_answered_before_closing(command, destination):
    request = bytes([5, command]) + destination
    transcript = converse(socks5.parse, [GREETING + LOGIN + request])
    assert transcript.replies == WELCOME + b"\x05\x07\x00\x01" + bytes(6)


@pytest.mark.parametrize("kind", [0, 2, 5, 255])
def test_unknown_address_types_are_answered_before_closing(kind):
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
    converse(ADMITTED, pieces)


@given(st.binary(max_size=300))
def test_garbage_behind_a_login_too(garbage):
    transcript = converse(socks5.parse, [GREETING + LOGIN, garbage])
    assert transcript.error is None or isinstance(transcript.error, SocksError)
    if transcript.finished:
        assert isinstance(transcript.asked[-1], Connect | Accept | Associate)
