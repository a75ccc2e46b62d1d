"""HTTP messages on their way through, in every fragmentation."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import in_every_fragmentation
from vpn.protocols.events import CHUNKED, UNTIL_END, Forward
from vpn.protocols.http1_message import (
    HEAD_LIMIT,
    MOST_INTERIM,
    TRAILER_LIMIT,
    Ending,
    MessageError,
    connection_options,
    content_length,
    end_to_end,
    parse_fields,
    request_body,
    response,
)
from vpn.protocols.reader import Reader

KEPT = Ending(keep_client=True, keep_origin=True, upgraded=False)
CLOSED = Ending(keep_client=False, keep_origin=False, upgraded=False)


def asked(method="GET", *, old=False, keep=True, upgrade=False):
    return Forward("x", 80, method, b"", 0, old, keep, upgrade)


def drive(parser, reader, pieces, *, ended=False):
    """What was passed on, what was returned (None: it wants more), and what is left."""
    passed = b""
    waiting = iter(pieces)
    while True:
        try:
            step = next(parser)
        except StopIteration as stop:
            return passed, stop.value or "done", reader.rest() + b"".join(waiting)
        if step is not None:
            assert step, "an empty piece would look like the end of a chunked body"
            passed += step
            continue
        piece = next(waiting, None)
        if piece is None and (reader.ended or not ended):
            return passed, None, reader.rest()
        if piece is None:
            reader.ended = True
        else:
            reader.feed(piece)


def respond(pieces, request=None, via="", *, ended=False):
    reader = Reader()
    return drive(response(reader, request or asked(), via), reader, pieces, ended=ended)


def body(pieces, length, *, ended=False):
    reader = Reader()
    return drive(request_body(reader, length), reader, pieces, ended=ended)


def whole(sent, request=None, **options):
    """The same for every fragmentation."""
    results = {respond(pieces, request, **options) for pieces in in_every_fragmentation(sent)}
    assert len(results) == 1, results
    return results.pop()


@pytest.mark.parametrize(
    ("sent", "passed", "ending"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
            KEPT,
        ),
        (
            b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            KEPT,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nConnection: close\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
            KEPT._replace(keep_origin=False),
        ),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
            KEPT._replace(keep_origin=False),
        ),
        (
            b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
            KEPT,
        ),
        (
            b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n",
            KEPT,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n"
            b'3;a=b;c="d"\r\nabc\r\n0000A \r\n0123456789\r\n0;x\r\nTrailer: t\r\n\r\n',
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
            b"3\r\nabc\r\na\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n",
            KEPT,
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: x\r\nX: y\r\n\r\n"
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            KEPT,
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: X-Secret, Keep-Alive, content-length\r\nX-Secret: s\r\nKeep-Alive: t\r\n"
            b"Proxy-Authenticate: x\r\nTE: t\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            KEPT,
        ),
    ],
)
@pytest.mark.parametrize("behind", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_responses(sent, passed, ending, behind):
    assert whole(sent + behind) == (passed, ending, behind)


def test_a_response_to_head_has_no_body():
    sent = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    passed, ending, rest = whole(sent + b"HTTP", asked("HEAD"))
    assert passed == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"
    assert (ending, rest) == (KEPT, b"HTTP")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_response_up_to_the_end_of_the_stream(version):
    passed, ending, rest = whole(b"HTTP/%s 200 OK\r\n\r\nabc" % version, ended=True)
    assert passed == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert (ending, rest) == (CLOSED, b"")


def test_who_wants_no_other_request_is_told_that_there_is_none():
    passed, ending, _ = whole(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", asked(keep=False))
    assert b"\r\nConnection: close\r\n" in passed
    assert ending == KEPT._replace(keep_client=False)


def test_for_an_old_client_chunks_are_unpacked_and_interim_responses_dropped():
    sent = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    )
    passed, ending, rest = whole(sent + b"x", asked(old=True))
    assert passed == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde"
    assert (ending, rest) == (Ending(keep_client=False, keep_origin=True, upgraded=False), b"x")


def test_via():
    passed, _, _ = whole(b"HTTP/1.0 200 OK\r\nVia: 1.1 a\r\nContent-Length: 0\r\n\r\n", via="gate")
    assert b"\r\nVia: 1.1 a\r\nVia: 1.0 gate\r\n" in passed


def test_an_upgrade():
    sent = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n"
    passed, ending, rest = whole(sent + b"\x81\x00", asked(upgrade=True))
    assert passed == (b"HTTP/1.1 101 Switching Protocols\r\nX: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (ending, rest) == (Ending(keep_client=False, keep_origin=False, upgraded=True), b"\x81\x00")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\r\n", "bad_status_line"),
        (b"HTTP/2 200 OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 20x OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 2\xb2\xb2 OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 200 OK\nSet-Cookie: x\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 200 OK\rSet-Cookie: x\r\n\r\n", "bad_status_line"),
        (b"ICY 200 OK\r\n\r\n", "bad_status_line"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\nName : x\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unknown_coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "unknown_coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "unknown_coding"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * MOST_INTERIM, "too_many_interim_responses"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "unexpected_upgrade"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (HEAD_LIMIT // 6), "head_too_large"),
        (b"x" * HEAD_LIMIT, "head_too_large"),
    ],
)
def test_what_is_no_response(sent, reason):
    with pytest.raises(MessageError, match=reason):
        respond([sent])


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "chunks",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1 1\r\n",
        b";a=b\r\n",
        b"1\nab\r\n",
        b"\xb2\r\n",
        b"1" * 16 + b"\r\n",
        b"1" * 2000,
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n" + b"a: b\r\n" * (TRAILER_LIMIT // 6 + 1),
    ],
)
def test_bad_chunks(chunks):
    for sent, act in ((CHUNKS + chunks, respond), (chunks, lambda pieces: body(pieces, CHUNKED))):
        with pytest.raises(MessageError, match="bad_"):
            act([sent])


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        CHUNKS,
        CHUNKS + b"3\r\nab",
        CHUNKS + b"3\r\nabc",
        CHUNKS + b"3\r\nabc\r\n",
        CHUNKS + b"3\r\nabc\r\n0\r\n",
        CHUNKS + b"3\r\nabc\r\n0\r\nA: b\r\n",
    ],
)
def test_a_truncated_response_is_never_complete(sent):
    """The parser asks for more at the end of the stream, or says so."""
    for pieces in in_every_fragmentation(sent) if sent else [[]]:
        try:
            _, ending, _ = respond(pieces, ended=True)
        except MessageError:
            continue
        assert ending is None


@pytest.mark.parametrize(
    ("sent", "length", "passed"),
    [
        (b"abc", 3, b"abc"),
        (b"", 0, b""),
        (b"3;x=y\r\nabc\r\n0\r\n\r\n", CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"),
        (b"0\r\nA:b\r\n\r\n", CHUNKED, b"0\r\nA: b\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("behind", [b"", b"GET http://x/ HTTP/1.1\r\n"])
def test_request_bodies(sent, length, passed, behind):
    for pieces in in_every_fragmentation(sent + behind) if sent + behind else [[]]:
        assert body(pieces, length) == (passed, "done", behind)


def test_a_body_up_to_the_end_is_passed_on_as_it_comes():
    reader = Reader()
    parser = response(reader, asked(), "")
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert (next(parser) or b"").endswith(b"\r\n\r\n")
    assert next(parser) == b"abc"
    assert next(parser) is None


def test_options_are_listed_in_any_case_and_under_either_name():
    headers = parse_fields([b"Connection: Close, X-A", b"proxy-CONNECTION:\tkeep-alive", b"X-A: 1", b"X-B: 2"])
    assert connection_options(headers) == {"close", "x-a", "keep-alive"}
    assert end_to_end(headers) == [("X-B", "2")]


def test_lengths():
    assert content_length([("X", "1")]) is None
    assert content_length([("content-length", "007"), ("Content-Length", "007")]) == 7


def chunked(pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def cut(data, at):
    cuts = [0, *sorted(cut % (len(data) + 1) for cut in at), len(data)]
    return [data[start:end] for start, end in pairwise(cuts)]


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=10), st.lists(st.integers(0, 5000), max_size=8), st.binary()
)
def test_chunks_come_out_as_they_went_in(pieces, cuts, behind):
    sent = chunked(pieces)
    passed, ending, rest = body(cut(sent + behind, cuts), CHUNKED)
    assert (ending, rest) == ("done", behind)
    again, _, _ = body([passed], CHUNKED)
    assert again == passed
    unpacked, _, rest = respond(cut(CHUNKS + sent + behind, cuts), asked(old=True))
    assert unpacked.partition(b"\r\n\r\n")[2] == b"".join(pieces)
    assert rest == behind


@given(
    st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", CHUNKS, CHUNKS + b"3\r\n"]),
    st.lists(st.binary(max_size=60) | st.text("0123456789abc;:\r\n ", max_size=40).map(str.encode), max_size=20),
    st.booleans(),
    st.sampled_from([0, 1, 1000, CHUNKED, UNTIL_END]),
)
def test_garbage_yields_only_message_errors(start, pieces, ended, length):
    for act in (
        lambda: respond([start, *pieces], ended=ended),
        lambda: respond([start, *pieces], asked(old=True, upgrade=True), ended=ended),
        lambda: body(pieces, length, ended=ended),
    ):
        try:
            act()
        except MessageError:
            pass
