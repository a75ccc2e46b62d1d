"""What we say to upstream SOCKS5 proxies; their answers in every fragmentation and with bytes behind them."""

import socket
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import socks5, socks5_client
from vpn.protocols.errors import UpstreamError
from vpn.protocols.events import Authenticate, Connect, Refusal

ANONYMOUS = partial(socks5_client.greet, user="", password="")
GREET = partial(socks5_client.greet, user="alice", password="s3cret")
CONNECT = partial(socks5_client.connect, host="example.com", port=443)
LOGIN = b"\x01\x05alice\x06s3cret"
REQUEST = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
GRANTED = b"\x05\x00\x00\x01\xc0\x00\x02\x07\x9c\x40"


@pytest.mark.parametrize(
    ("greet", "answer", "sent"),
    [
        (ANONYMOUS, b"\x05\x00", [b"\x05\x01\x00"]),
        (GREET, b"\x05\x00", [b"\x05\x02\x00\x02"]),
        (GREET, b"\x05\x02\x01\x00", [b"\x05\x02\x00\x02", LOGIN]),
        (GREET, b"\x05\x02\x05\x00", [b"\x05\x02\x00\x02", LOGIN]),
    ],
)
def test_greet(greet, answer, sent):
    for pieces in in_every_fragmentation(answer + b"behind"):
        transcript = converse(greet, pieces)
        assert transcript.finished
        assert transcript.sent == sent
        assert transcript.rest == b"behind"


@pytest.mark.parametrize(
    ("greet", "answer", "reason"),
    [
        (ANONYMOUS, b"\x05\xff", "upstream_authentication_failed"),
        (ANONYMOUS, b"\x05\x02", "upstream_bad_reply"),
        (GREET, b"\x05\xff", "upstream_authentication_failed"),
        (GREET, b"\x05\x02\x01\x01", "upstream_authentication_failed"),
        (GREET, b"\x05\x02\x01\xff", "upstream_authentication_failed"),
        (GREET, b"\x05\x01", "upstream_bad_reply"),
        (GREET, b"\x04\x00", "upstream_bad_reply"),
        (GREET, b"HTTP/1.1 400 Bad Request\r\n\r\n", "upstream_bad_reply"),
    ],
)
def test_greet_fails(greet, answer, reason):
    for pieces in in_every_fragmentation(answer):
        transcript = converse(greet, pieces)
        assert isinstance(transcript.error, UpstreamError)
        assert (transcript.error.reason, transcript.error.why) == (reason, Refusal.FAILED)


def test_the_password_waits_until_it_is_asked_for():
    assert converse(GREET, []).sent == [b"\x05\x02\x00\x02"]
    assert converse(GREET, [b"\x05"]).sent == [b"\x05\x02\x00\x02"]


@pytest.mark.parametrize(
    ("host", "packed"),
    [
        ("example.com", b"\x03\x0bexample.com"),
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("2001:db8::1", b"\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1")),
    ],
)
def test_requests(host, packed):
    transcript = converse(partial(socks5_client.connect, host=host, port=443), [GRANTED])
    assert transcript.finished
    assert transcript.replies == b"\x05\x01\x00" + packed + b"\x01\xbb"


@pytest.mark.parametrize(
    "granted",
    [
        GRANTED,
        b"\x05\x00\x00\x04" + bytes(18),
        b"\x05\x00\x00\x03\x0bexample.com\x9c\x40",
        b"\x05\x00\x00\x03\x00\x00\x00",
        b"\x05\x00\xff\x01" + bytes(6),
    ],
)
@pytest.mark.parametrize("early", [b"", b"220 hello\r\n"])
def test_what_is_behind_the_reply_is_the_destinations(granted, early):
    for pieces in in_every_fragmentation(granted + early):
        transcript = converse(CONNECT, pieces)
        assert transcript.finished
        assert transcript.sent == [REQUEST]
        assert transcript.rest == early


@pytest.mark.parametrize("size", range(len(GRANTED)))
def test_the_tunnel_stands_once_the_reply_is_whole(size):
    transcript = converse(CONNECT, [GRANTED[:size]])
    assert not transcript.finished
    assert transcript.error is None


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (1, Refusal.FAILED),
        (2, Refusal.NOT_ALLOWED),
        (3, Refusal.NETWORK_UNREACHABLE),
        (4, Refusal.HOST_UNREACHABLE),
        (5, Refusal.CONNECTION_REFUSED),
        (6, Refusal.TIMED_OUT),
        (7, Refusal.FAILED),
        (8, Refusal.FAILED),
        (255, Refusal.FAILED),
    ],
)
@pytest.mark.parametrize("behind", [b"", b"\x00\x01" + bytes(6)])
def test_refusals_are_told_as_they_are(code, why, behind):
    for pieces in in_every_fragmentation(bytes([5, code]) + behind):
        transcript = converse(CONNECT, pieces)
        assert isinstance(transcript.error, UpstreamError)
        assert (transcript.error.reason, transcript.error.why) == ("upstream_refused", why)


@pytest.mark.parametrize("reply", [b"\x04\x00", b"\x00\x5a", b"\x05\x00\x00\x00", b"\x05\x00\x00\x02", b"HTTP/1.1"])
def test_bad_replies(reply):
    for pieces in in_every_fragmentation(reply):
        transcript = converse(CONNECT, pieces)
        assert isinstance(transcript.error, UpstreamError)
        assert transcript.error.reason == "upstream_bad_reply"


def test_a_name_that_cannot_be_written_is_not_asked_for():
    transcript = converse(partial(socks5_client.connect, host="x" * 256, port=443), [])
    assert (transcript.error.reason, transcript.error.why) == ("upstream_bad_name", Refusal.NAME_NOT_FOUND)
    assert transcript.sent == []


@pytest.mark.parametrize(("user", "password"), [("alice", "s3cret"), ("b\u00fc", "p\u00e4ss"), ("u" * 255, "p" * 255)])
def test_our_own_server_understands(user, password):
    greeting, login = converse(partial(socks5_client.greet, user=user, password=password), [b"\x05\x02\x01\x00"]).sent
    (request,) = converse(CONNECT, [GRANTED]).sent
    served = converse(socks5.parse, [greeting, login, request], users=[(user, password)])
    assert served.finished
    assert served.asked == [Authenticate(user, password), Connect("example.com", 443)]
    assert converse(CONNECT, [served.sent[-1]]).finished


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_yields_only_the_protocols_own_error(pieces):
    for parse in (ANONYMOUS, GREET, CONNECT):
        transcript = converse(parse, pieces)
        assert transcript.error is None or isinstance(transcript.error, UpstreamError)
    converse(CONNECT, [b"\x05\x00\x00", *pieces])
