import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.protocols.reader import LimitExceeded, Reader


def drain(generator, reader, pieces):
    """Run a reader's generator, feeding a piece whenever it asks."""
    pieces = list(pieces)
    try:
        next(generator)
        while pieces:
            reader.feed(pieces.pop(0))
            next(generator)
    except StopIteration as end:
        for piece in pieces:
            reader.feed(piece)
        return end.value
    pytest.fail("the generator wants more than there is")


@given(st.binary(min_size=1), st.data())
def test_exactly_takes_what_it_says_however_it_comes(data, draw):
    count = draw.draw(st.integers(0, len(data)))
    cut = draw.draw(st.integers(0, len(data)))
    reader = Reader()
    assert drain(reader.exactly(count), reader, [data[:cut], data[cut:]]) == data[:count]
    assert reader.rest() == data[count:]


@given(st.binary(max_size=30), st.binary(max_size=30), st.integers(0, 64))
def test_until_stops_at_the_first_delimiter(head, tail, cut):
    data = head + b"\r\n" + tail
    at = data.index(b"\r\n")
    reader = Reader()
    assert drain(reader.until(b"\r\n", 100), reader, [data[:cut], data[cut:]]) == data[:at]
    assert reader.rest() == data[at + 2 :]


def test_until_finds_a_delimiter_that_is_cut_in_two():
    reader = Reader(b"head\r")
    assert drain(reader.until(b"\r\n", 100), reader, [b"\ntail"]) == b"head"
    assert reader.rest() == b"tail"


def test_until_gives_up_at_its_limit():
    reader = Reader(b"x" * 9)
    search = reader.until(b"\r\n", 10)
    next(search)
    reader.feed(b"\r\n")  # ends at byte 11
    with pytest.raises(LimitExceeded):
        next(search)


def test_rest_hands_over_once():
    reader = Reader(b"early")
    assert reader.peek() == b"early"
    assert reader.rest() == b"early"
    assert reader.rest() == b""
