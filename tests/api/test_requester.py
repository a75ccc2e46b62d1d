import pytest

from vpn.api.client import APIError, Client, Unreachable, parse_events


def test_a_stream_that_breaks_off_or_is_refused():
    def streaming(status, *pieces):
        return Client(lambda *_: (500, b""), lambda method, target: (status, (piece for piece in pieces)))

    events = streaming(200, b'data: {"a"', b": 1}\n\nda").follow("/")
    assert next(events) == {"a": 1}
    with pytest.raises(Unreachable, match="broke off"):
        next(events)
    with pytest.raises(APIError, match="streams") as refused:
        next(streaming(503, b'{"code": "too_many", ', b'"message": "64 streams", "hint": "h"}').follow("/"))
    assert refused.value.status == 503


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_read_however_they_are_cut(size):
    said = b': here\n\nevent: dropped\ndata: {"dropped": 2}\n\ndata: {"a":\ndata: "\xc3\xbc"}\r\n\r\n'
    said += b"event: end\ndata: {}\n\n"
    pieces = [said[start : start + size] for start in range(0, len(said), size)]
    assert list(parse_events(pieces)) == [("dropped", '{"dropped": 2}'), ("", '{"a":"\u00fc"}'), ("end", "{}")]
