"""HTTP conversations, each in every fragmentation and with bytes behind it."""

import base64
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.protocols import http1
from vpn.protocols.errors import HTTPError
from vpn.protocols.events import CHUNKED, Authenticate, Connect, Forward, Refusal, Refused

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


# --- requests to be forwarded


def forwarded(start, fields=b"", body=b"", **options):
    """What a request with credentials becomes."""
    transcript = converse(partial(http1.parse, **options), [start + b"\r\n" + basic() + fields + b"\r\n" + body])
    assert transcript.error is None, transcript.error
    *_, step = transcript.asked
    assert isinstance(step, Forward)
    assert transcript.rest == body
    assert transcript.sent == []
    return step


GET = b"GET http://example.com/path HTTP/1.1"


def test_absolute_form_becomes_origin_form():
    for pieces in in_every_fragmentation(GET + b"\r\nHost: other.example\r\n" + basic() + b"X: y\r\n\r\nbehind"):
        transcript = converse(http1.parse, pieces)
        head = b"GET /path HTTP/1.1\r\nHost: example.com\r\nX: y\r\n\r\n"
        assert transcript.asked[-1] == Forward("example.com", 80, "GET", head, 0, old=False, keep=True)
        assert transcript.finished
        assert transcript.rest == b"behind"


@pytest.mark.parametrize(
    ("target", "wanted", "line", "host"),
    [
        (b"http://example.com", ("example.com", 80), b"/", b"example.com"),
        (b"HTTP://example.com/", ("example.com", 80), b"/", b"example.com"),
        (b"http://example.com:8080/a?b", ("example.com", 8080), b"/a?b", b"example.com:8080"),
        (b"http://example.com:/a", ("example.com", 80), b"/a", b"example.com:"),
        (b"http://example.com?a/b", ("example.com", 80), b"/?a/b", b"example.com"),
        (b"http://example.com/a#b?c", ("example.com", 80), b"/a", b"example.com"),
        (b"http://example.com#a", ("example.com", 80), b"/", b"example.com"),
        (b"http://example.com/http://x/", ("example.com", 80), b"/http://x/", b"example.com"),
        (b"http://example.com/a@b:c", ("example.com", 80), b"/a@b:c", b"example.com"),
        (b"http://192.0.2.1:81/", ("192.0.2.1", 81), b"/", b"192.0.2.1:81"),
        (b"http://[2001:db8::1]/", ("2001:db8::1", 80), b"/", b"[2001:db8::1]"),
        (b"http://[2001:db8::1]:8080", ("2001:db8::1", 8080), b"/", b"[2001:db8::1]:8080"),
        (b"http://[2001:db8::1]:/", ("2001:db8::1", 80), b"/", b"[2001:db8::1]:"),
    ],
)
def test_targets(target, wanted, line, host):
    step = forwarded(b"GET " + target + b" HTTP/1.1")
    assert (step.host, step.port) == wanted
    assert step.head == b"GET " + line + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (b"http://x", b"*"),
        (b"http://x:81", b"*"),
        (b"http://x/", b"/"),
        (b"http://x/*", b"/*"),
        (b"http://x?a", b"/?a"),
    ],
)
def test_options_of_the_server_itself(target, line):
    """RFC 9112 §3.2.4."""
    assert forwarded(b"OPTIONS " + target + b" HTTP/1.1").head.startswith(b"OPTIONS " + line + b" HTTP/1.1\r\n")


def test_what_concerns_this_connection_only_is_not_passed_on():
    fields = (
        b"Connection: X-Secret , keep-alive\r\nx-secret: s\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
        b"TE: trailers\r\nUpgrade: h2c\r\nproxy-foo: x\r\nAccept: */*\r\nHOST: twice\r\nCookie: a=\xfc\r\n"
    )
    head = forwarded(GET, fields).head
    assert head == b"GET /path HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nCookie: a=\xfc\r\n\r\n"


@pytest.mark.parametrize("listed", [b"Host", b"Content-Length", b"Transfer-Encoding"])
def test_nobody_can_have_the_framing_removed(listed):
    step = forwarded(GET, b"Content-Length: 3\r\nConnection: " + listed + b"\r\n", b"abc")
    assert step.length == 3
    assert b"\r\nHost: example.com\r\n" in step.head
    assert b"\r\nContent-Length: 3\r\n" in step.head


def test_via():
    assert b"\r\nVia: 1.0 a\r\nVia: 1.1 gate\r\n" in forwarded(GET, b"Via: 1.0 a\r\n", via="gate").head
    assert b"\r\nVia: 1.0 gate\r\n" in forwarded(GET.replace(b"1.1", b"1.0"), via="gate").head


@pytest.mark.parametrize(
    ("version", "fields", "old", "keep"),
    [
        (b"1.1", b"", False, True),
        (b"1.1", b"Connection: close\r\n", False, False),
        (b"1.1", b"Connection: keep-alive, CLOSE\r\n", False, False),
        (b"1.1", b"Proxy-Connection: close\r\n", False, False),
        (b"1.0", b"", True, False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True, True),
        (b"1.0", b"Proxy-Connection: keep-alive\r\n", True, True),
        (b"1.0", b"Connection: keep-alive, close\r\n", True, False),
    ],
)
def test_who_wants_to_go_on(version, fields, old, keep):
    step = forwarded(GET.replace(b"1.1", version), fields)
    assert (step.old, step.keep) == (old, keep)
    assert step.head.startswith(b"GET /path HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("version", "fields", "upgrade"),
    [
        (b"1.1", b"Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n", True),
        (b"1.1", b"Upgrade: a\r\n", False),
        (b"1.1", b"Connection: Upgrade\r\n", False),
        (b"1.0", b"Connection: Upgrade\r\nUpgrade: a\r\n", False),
    ],
)
def test_upgrades(version, fields, upgrade):
    step = forwarded(GET.replace(b"1.1", version), fields)
    assert step.upgrade is upgrade
    assert (b"\r\nConnection: Upgrade\r\nUpgrade: a, b\r\n" in step.head) is upgrade
    assert (b"pgrade" in step.head) is upgrade


@pytest.mark.parametrize(
    ("fields", "length", "passed"),
    [
        (b"", 0, b""),
        (b"Content-Length: 0\r\n", 0, b"Content-Length: 0\r\n"),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", 5, b"Content-Length: 5\r\n"),
        (b"Content-Length: 05, 05\r\n", 5, b"Content-Length: 5\r\n"),
        (b"Transfer-Encoding: CHUNKED\r\n", CHUNKED, b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_framing(fields, length, passed):
    step = forwarded(b"POST http://x/ HTTP/1.1", fields)
    assert step.length == length
    assert step.head == b"POST / HTTP/1.1\r\nHost: x\r\n" + passed + b"\r\n"


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400, "bad_content_length"),
        (b"Content-Length: -5\r\n", 400, "bad_content_length"),
        (b"Content-Length: 5 5\r\n", 400, "bad_content_length"),
        (b"Content-Length: \xb2\r\n", 400, "bad_content_length"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400, "ambiguous_length"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400, "ambiguous_length"),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501, "unknown_coding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 501, "unknown_coding"),
        (b"Transfer-Encoding : chunked\r\n", 400, "bad_header"),
        (b"Transfer-Encoding: \x0bchunked\r\n", 501, "unknown_coding"),
    ],
)
@pytest.mark.parametrize("admitted", [False, True])
def test_bodies_whose_end_others_may_see_elsewhere(fields, status, reason, admitted):
    sent = b"POST http://x/ HTTP/1.1\r\n" + basic() + fields + b"\r\n"
    for pieces in in_every_fragmentation(sent):
        transcript = converse(partial(http1.parse, admitted=admitted), pieces)
        assert transcript.error is not None
        assert transcript.error.reason == reason
        assert transcript.error.reply.startswith(b"HTTP/1.1 %d " % status)
        assert transcript.asked == []


def test_an_old_request_has_no_chunks():
    transcript = converse(http1.parse, [b"POST http://x/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"])
    assert transcript.error is not None
    assert transcript.error.reason == "ambiguous_length"


@pytest.mark.parametrize(
    "target",
    [
        b"http://",
        b"http://:80/",
        b"http://x:0/",
        b"http://x:65536/",
        b"http://x:y/",
        b"http://2001:db8::1/",
        b"ftp://x/",
        b"http://u@x/",
        b"http://u:p@x/",
        b"http://[::1/",
        b"http://[]/",
        b"http://" + b"x" * 256 + b"/",
        b"*",
        b"/",
        b"x:80",
    ],
)
def test_targets_that_lead_nowhere(target):
    transcript = converse(http1.parse, [b"GET " + target + b" HTTP/1.1\r\n" + basic() + b"\r\n"])
    assert transcript.error is not None
    assert transcript.error.reason == "bad_target"


def test_a_407_with_a_body_reads_it_so_that_the_next_request_is_found():
    first = b"POST http://x/ HTTP/1.1\r\nContent-Length: 30\r\n\r\nGET http://evil/ HTTP/1.1\r\n\r\n..."[:-1]
    for pieces in in_every_fragmentation(first + GET + b"\r\n" + basic() + b"\r\n"):
        transcript = converse(http1.parse, pieces)
        assert transcript.replies.count(b"HTTP/1.1 407 ") == 1
        assert [each.host for each in transcript.asked if isinstance(each, Forward)] == ["example.com"]


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"Content-Length: 65537"])
def test_a_407_with_a_body_that_is_not_read_is_the_end(framing):
    transcript = converse(http1.parse, [b"POST http://x/ HTTP/1.1\r\n" + framing + b"\r\n\r\n"])
    assert transcript.error is not None
    assert transcript.error.reply.startswith(b"HTTP/1.1 407 ")
    assert b"\r\nConnection: close\r\n" in transcript.error.reply


def test_admitted_without_credentials_and_checked_with_them():
    plain = converse(partial(http1.parse, admitted=True), [GET + b"\r\n\r\n"])
    assert [type(each) for each in plain.asked] == [Forward]
    named = converse(partial(http1.parse, admitted=True), [GET + b"\r\n" + basic(password="wrong") + b"\r\n"])
    assert [type(each) for each in named.asked] == [Authenticate]
    assert named.replies.startswith(b"HTTP/1.1 407 ")


@pytest.mark.parametrize("why", Refusal)
def test_a_destination_that_is_not_reached_closes(why):
    transcript = converse(http1.parse, [GET + b"\r\n" + basic() + b"\r\n"], outcome=Refused(why))
    assert transcript.error is not None
    assert b"\r\nConnection: close\r\n" in transcript.error.reply


@given(st.text(alphabet="htp:/x.@?#[]*1 \r\n\x00", max_size=100), st.sampled_from([b"GET", b"OPTIONS"]))
def test_no_target_gets_a_second_line_into_a_request(target, method):
    transcript = converse(http1.parse, [method + b" http://" + target.encode() + b" HTTP/1.1\r\n" + basic() + b"\r\n"])
    for step in transcript.asked:
        if isinstance(step, Forward):
            assert step.head.split(b"\r\n")[0].count(b" ") == 2
            assert b"\0" not in step.head
