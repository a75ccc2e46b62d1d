"""What we say to upstream HTTP proxies; their responses in every fragmentation and with bytes behind them."""

import base64
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import http1, http1_client
from vpn.protocols.errors import UpstreamError
from vpn.protocols.events import Authenticate, Connect, Refusal

CONNECT = partial(http1_client.connect, host="example.com", port=443, user="", password="")
REQUEST = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n"


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("example.com", b"example.com:443"),
        ("_srv.x-y~z", b"_srv.x-y~z:443"),
        ("192.0.2.1", b"192.0.2.1:443"),
        ("2001:DB8:0::1", b"[2001:db8::1]:443"),
        ("fe80::1%eth0", b"[fe80::1]:443"),
        ("m\u00fcnchen.example", b"xn--mnchen-3ya.example:443"),
        ("M\u00dcNCHEN.example", b"xn--mnchen-3ya.example:443"),
    ],
)
def test_requests(host, authority):
    transcript = converse(partial(CONNECT, host=host), [b"HTTP/1.1 200 OK\r\n\r\n"])
    assert transcript.finished
    assert transcript.replies == b"CONNECT " + authority + b" HTTP/1.1\r\nHost: " + authority + b"\r\n\r\n"


def test_credentials_are_basic():
    transcript = converse(partial(CONNECT, user="b\u00fc", password="a:b" * 100), [])
    credentials = base64.b64encode(("b\u00fc:" + "a:b" * 100).encode())
    assert transcript.sent == [REQUEST + b"Proxy-Authorization: Basic " + credentials + b"\r\n\r\n"]


@pytest.mark.parametrize(
    "host",
    [
        "",
        "x" * 256,
        "example.com:80",
        "user@example.com",
        "a/b",
        "[::1",
        "x::1.example",
        "a\r\nX: y",
        "a b",
        "a\x85",
        "\uff45xample.com",  # a full-width letter
        "\uff11\uff12\uff17.0.0.1",
        "\u65e5\u672c\u3002example",  # an ideographic dot
        "\u2100.com",  # becomes a/c.com
        "\u00fc" * 100,
        "\u00fc..example",
    ],
)
def test_a_name_that_could_be_read_as_another_is_not_asked_for(host):
    transcript = converse(partial(CONNECT, host=host), [])
    assert isinstance(transcript.error, UpstreamError)
    assert (transcript.error.reason, transcript.error.why) == ("upstream_bad_name", Refusal.NAME_NOT_FOUND)
    assert transcript.sent == []


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nVia: x\r\nX: y\r\n\r\n",
        b"HTTP/1.1 204 \r\n\r\n",
        b"HTTP/1.1 299\r\n\r\n",
        b"HTTP/1.1 200 OK\nVia: x\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
@pytest.mark.parametrize("early", [b"", b"220 hello\r\n", b"\r\n\r\n"])
def test_what_is_behind_the_head_is_the_destinations(head, early):
    for pieces in in_every_fragmentation(head + early):
        transcript = converse(CONNECT, pieces)
        assert transcript.finished
        assert transcript.sent == [REQUEST + b"\r\n"]
        assert transcript.rest == early


@pytest.mark.parametrize("size", range(len(b"HTTP/1.1 200 OK\r\n\r\n")))
def test_the_tunnel_stands_once_the_head_is_whole(size):
    transcript = converse(CONNECT, [b"HTTP/1.1 200 OK\r\n\r\n"[:size]])
    assert not transcript.finished
    assert transcript.error is None


@pytest.mark.parametrize(
    ("status", "reason", "why"),
    [
        (407, "upstream_authentication_failed", Refusal.FAILED),
        (403, "upstream_refused", Refusal.NOT_ALLOWED),
        (502, "upstream_refused", Refusal.FAILED),
        (503, "upstream_refused", Refusal.FAILED),
        (504, "upstream_refused", Refusal.TIMED_OUT),
        (302, "upstream_refused", Refusal.FAILED),
        (401, "upstream_refused", Refusal.FAILED),
        (599, "upstream_refused", Refusal.FAILED),
    ],
)
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_refusals_are_told_as_they_are(status, reason, why, interim):
    for pieces in in_every_fragmentation(interim + b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status):
        transcript = converse(CONNECT, pieces)
        assert isinstance(transcript.error, UpstreamError)
        assert (transcript.error.reason, transcript.error.why) == (reason, why)


@pytest.mark.parametrize(
    "response",
    [
        b"\r\n",
        b"\x05\xff\n",
        b"HTTP/2 200\r\n",
        b"HTTP/1.2 200 OK\r\n",
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 20x OK\r\n",
        b"HTTP/1.1  200 OK\r\n",
        b"HTTP/1.1 099 OK\r\n",
        b"HTTP/1.1 600 OK\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"x" * 32 * 1024,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 6000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    ],
)
def test_bad_replies(response):
    transcript = converse(CONNECT, [response[at : at + 500] for at in range(0, len(response), 500)])
    assert isinstance(transcript.error, UpstreamError)
    assert (transcript.error.reason, transcript.error.why) == ("upstream_bad_reply", Refusal.FAILED)


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1", "2001:db8::1"])
def test_our_own_server_understands(host):
    (request,) = converse(partial(CONNECT, host=host, user="alice", password="s3cret"), []).sent
    served = converse(http1.parse, [request])
    assert served.asked == [Authenticate("alice", "s3cret"), Connect(host, 443)]
    assert converse(CONNECT, [served.replies]).finished


@given(st.lists(st.binary(max_size=60), max_size=20), st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"]))
def test_garbage_yields_only_the_protocols_own_error(pieces, start):
    transcript = converse(CONNECT, [start, *pieces])
    assert transcript.error is None or isinstance(transcript.error, UpstreamError)


@given(st.text(max_size=260))
def test_no_name_gets_a_second_line_or_field_into_a_request(host):
    transcript = converse(partial(CONNECT, host=host), [])
    assert transcript.error is not None or transcript.replies.split().count(b"HTTP/1.1") == 1
    assert transcript.error is not None or transcript.replies.count(b"\r\n") == 3
