"""HTTP CONNECT conversations, each in every fragmentation and with bytes behind it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import http1
from vpn.protocols.errors import HTTPError
from vpn.protocols.events import Authenticate, Connect, Refusal, Refused

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def basic(user="alice", password="s3cret"):
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()) + b"\r\n"


def connect(target=b"example.com:443", fields=None):
    return b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n" + (basic() if fields is None else fields) + b"\r\n"


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (b"example.com:443", Connect("example.com", 443)),
        (b"192.0.2.1:80", Connect("192.0.2.1", 80)),
        (b"[2001:db8::1]:8080", Connect("2001:db8::1", 8080)),
    ],
)
@pytest.mark.parametrize("early", [b"", b"\x16\x03\x01"])
def test_connect(target, wanted, early):
    for pieces in in_every_fragmentation(connect(target) + early):
        transcript = converse(http1.parse, pieces)
        assert transcript.finished
        assert transcript.asked == [Authenticate("alice", "s3cret"), wanted]
        assert transcript.replies == ESTABLISHED
        assert transcript.rest == early


def test_established_has_no_content_length():
    assert b"ength" not in ESTABLISHED
    assert b"ncoding" not in ESTABLISHED


def test_407_keeps_the_connection_for_another_try():
    for pieces in in_every_fragmentation(connect(fields=b"") + connect()):
        transcript = converse(http1.parse, pieces)
        challenge, established = transcript.sent
        assert challenge.startswith(b"HTTP/1.1 407 ")
        assert b"\r\nProxy-Authenticate: Basic " in challenge
        assert b"\r\nConnection: keep-alive\r\n" in challenge
        assert established == ESTABLISHED


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        basic(password="wrong"),
        basic(user="nobody"),
        b"Proxy-Authorization: Basic !!!\r\n",
        b"Proxy-Authorization: Basic /////w==\r\n",
        b"Proxy-Authorization: Bearer abc\r\n",
        b"Authorization" + basic()[19:],
    ],
)
def test_nobody_gets_in_without_credentials(fields):
    transcript = converse(http1.parse, [connect(fields=fields) * 3])
    assert transcript.replies.count(b"HTTP/1.1 407 ") == 3
    assert not any(isinstance(asked, Connect) for asked in transcript.asked)
    assert transcript.error is not None
    assert transcript.error.reason == "authentication_failed"
    assert b"\r\nConnection: close\r\n" in transcript.error.reply


def test_a_password_may_have_colons_and_umlauts():
    password = "a:b:\u00fc"
    transcript = converse(http1.parse, [connect(fields=basic("bob", password))], users=[("bob", password)])
    assert transcript.finished


def test_scheme_and_field_names_have_no_case():
    fields = basic().replace(b"Proxy-Authorization: Basic", b"PROXY-authorization:   bAsIc")
    assert converse(http1.parse, [connect(fields=fields)]).finished


@pytest.mark.parametrize(
    ("why", "status"),
    [
        (Refusal.NOT_ALLOWED, 403),
        (Refusal.NAME_NOT_FOUND, 502),
        (Refusal.CONNECTION_REFUSED, 502),
        (Refusal.NETWORK_UNREACHABLE, 502),
        (Refusal.HOST_UNREACHABLE, 502),
        (Refusal.FAILED, 502),
        (Refusal.TIMED_OUT, 504),
    ],
)
def test_refusals_have_their_status(why, status):
    transcript = converse(http1.parse, [connect()], outcome=Refused(why))
    assert transcript.replies.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nProxy-Status: vpn; error=" in transcript.replies
    head, _, body = transcript.replies.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"GET /path HTTP/1.1\r\n" + basic() + b"\r\n", 400, "bad_target"),
        (b"GET https://example.com/ HTTP/1.1\r\n" + basic() + b"\r\n", 400, "bad_target"),
        (b"GET http://alice@example.com/ HTTP/1.1\r\n" + basic() + b"\r\n", 400, "bad_target"),
        (b"GET http:///path HTTP/1.1\r\n" + basic() + b"\r\n", 400, "bad_target"),
        (b"CONNECT example.com:443\r\n\r\n", 400, "bad_start_line"),
        (b"CONNECT example.com:443 HTTP/2.0\r\n\r\n", 400, "bad_start_line"),
        (b"CON\x00NECT example.com:443 HTTP/1.1\r\n\r\n", 400, "bad_start_line"),
        (b"CONNECT exa mple.com:443 HTTP/1.1\r\n\r\n", 400, "bad_start_line"),
        (b"CONNECT ex\xffmple.com:443 HTTP/1.1\r\n\r\n", 400, "bad_start_line"),
        (b"CONNECT x:1 HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_header"),
        (b"CONNECT x:1 HTTP/1.1\r\n folded: x\r\n\r\n", 400, "bad_header"),
        (b"CONNECT x:1 HTTP/1.1\r\na: b\nc: d\r\n\r\n", 400, "bad_header"),
        (b"CONNECT x:1 HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400, "unexpected_content"),
        (b"CONNECT x:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "unexpected_content"),
        (connect(b"example.com"), 400, "bad_target"),
        (connect(b"example.com:"), 400, "bad_target"),
        (connect(b"example.com:0"), 400, "bad_target"),
        (connect(b"example.com:65536"), 400, "bad_target"),
        (connect(b"example.com:" + b"9" * 5000), 400, "bad_target"),
        (connect(b":443"), 400, "bad_target"),
        (connect(b"2001:db8::1:443"), 400, "bad_target"),
        (connect(b"x" * 256 + b":1"), 400, "bad_target"),
        (b"C" * 8192, 414, "start_line_too_long"),
        (b"CONNECT x:1 HTTP/1.1\r\n" + b"a: b\r\n" * 6000, 431, "head_too_large"),
    ],
)
def test_malformed(sent, status, reason):
    transcript = converse(http1.parse, [sent])
    assert isinstance(transcript.error, HTTPError)
    assert transcript.error.reason == reason
    assert transcript.error.reply.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close\r\n" in transcript.error.reply


def test_an_empty_line_before_a_request_is_tolerated_and_a_flood_of_them_is_not():
    assert converse(http1.parse, [b"\r\n" + connect()]).finished
    flood = converse(http1.parse, [connect(fields=b""), b"\r\n" * 1000])
    assert flood.error is not None
    assert flood.error.reason == "bad_start_line"


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_yields_only_the_protocols_own_error(pieces):
    converse(http1.parse, pieces)


@given(st.text(alphabet="CONET :/.x1[]\r\n\x00HP", max_size=200))
def test_near_garbage_too(text):
    converse(http1.parse, [b"CONNECT ", text.encode(), b" HTTP/1.1\r\n\r\n"])
