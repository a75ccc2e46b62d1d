import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.test_shadowsocks_header import NOW, keys
from tests.support.shadowsocks_client import METHODS, OLD, ShadowsocksClient
from vpn.protocols.errors import ProtocolError
from vpn.protocols.shadowsocks_chunks import MOST, TURN, Opener, Sealer
from vpn.protocols.shadowsocks_header import begin, needed


def opener_of(name):
    """A client that has begun its stream, and who opens it."""
    method, key, password = keys(name)
    client = ShadowsocksClient(name, password, now=NOW)
    stream = client.request("example.com", 443, b"hello")
    begun = begin(method, key, stream, NOW)
    begun.opener.open_into(memoryview(stream)[needed(method) :], memoryview(bytearray(1000)))
    return client, begun.opener


@pytest.mark.parametrize("name", METHODS)
def test_the_first_chunk_is_opened_at_once_and_the_others_behind_it(name):
    method, key, password = keys(name)
    client = ShadowsocksClient(name, password, now=NOW)
    stream = client.request("example.com", 443, b"hello")
    begun = begin(method, key, stream, NOW)
    end = begun.taken + begun.opener.length + 16
    with pytest.raises(ProtocolError, match="broken_chunk"):
        begun.opener.open_first(stream[begun.taken : end - 1] + bytes([stream[end - 1] ^ 1]))
    first = begun.opener.open_first(stream[begun.taken : end])
    assert b"example.com" + (443).to_bytes(2, "big") in first
    rest, left = open_pieces(begun.opener, [stream[end:] + client.send(b" world")])
    assert (first + rest).endswith(b"hello world")
    assert left == b""


def open_pieces(opener, pieces, room=100_000):
    """Feed an opener as a stream does; returns what it opened, and what it left."""
    left, opened = b"", b""
    into = memoryview(bytearray(room))
    for piece in pieces:
        left += piece
        while True:
            taken, put = opener.open_into(memoryview(left), into)
            left = left[taken:]
            opened += into[:put]
            if not put:
                break
    return opened, left


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_chunks_are_opened_however_they_are_cut_up(name, piece):
    client, opener = opener_of(name)
    data = bytes(range(256)) * 4 + b"end"
    stream = client.send(data, 300) + client.send(data[:5])
    pieces = [stream[at : at + piece] for at in range(0, len(stream), piece)]
    assert open_pieces(opener, pieces) == (data + data[:5], b"")


@pytest.mark.parametrize("name", METHODS)
def test_it_opens_no_more_than_there_is_room_for(name):
    client, opener = opener_of(name)
    stream = memoryview(client.send(bytes(300), 100))
    into = memoryview(bytearray(250))
    taken, put = opener.open_into(stream, into)
    assert put == 200
    assert opener.length == 100
    assert opener.whole(len(stream) - taken)
    assert opener.open_into(stream[taken:], into[:99]) == (0, 0)
    assert opener.open_into(stream[taken:], into[:100]) == (116, 100)
    assert not opener.whole(17)


def test_who_makes_tiny_chunks_is_opened_by_and_by():
    client, opener = opener_of("aes-128-gcm")
    stream = memoryview(client.send(bytes(TURN + 1), 1))
    taken, put = opener.open_into(stream, memoryview(bytearray(1000)))
    assert put == TURN
    assert opener.whole(len(stream) - taken)
    assert opener.open_into(stream[taken:], memoryview(bytearray(1000)))[1] == 1


@pytest.mark.parametrize("name", METHODS)
def test_a_changed_chunk_is_found(name):
    for at in (0, 17, 18, 40):
        client, opener = opener_of(name)
        stream = bytearray(client.send(b"some thirty bytes of a payload"))
        stream[at] ^= 1
        with pytest.raises(ProtocolError, match="broken_chunk"):
            opener.open_into(memoryview(stream), memoryview(bytearray(100)))


@pytest.mark.parametrize(
    ("name", "length"), [(name, length) for name in METHODS for length in ((0, 0x4000) if name in OLD else (0,))]
)
def test_lengths_that_no_chunk_has(name, length):
    client, opener = opener_of(name)
    with pytest.raises(ProtocolError, match="broken_chunk"):
        opener.open_into(memoryview(client._up.seal(length.to_bytes(2, "big"))), memoryview(bytearray(100)))


@given(st.binary(max_size=200), st.sampled_from(METHODS))
def test_garbage_raises_only_the_protocols_error(garbage, name):
    method = keys(name)[0]
    opener = Opener(method, bytes(method.key_size))
    with contextlib.suppress(ProtocolError):
        assert opener.open_into(memoryview(garbage), memoryview(bytearray(500))) == (0, 0)


@pytest.mark.parametrize("name", METHODS)
@given(
    sizes=st.lists(st.sampled_from([1, 100, 0x3FFE, 0x3FFF, 0x4000, 0xFFFF, 0x10000, 200_000]), min_size=1, max_size=4)
)
def test_a_client_opens_what_was_sealed(name, sizes):
    method, key, password = keys(name)
    client = ShadowsocksClient(name, password)
    sealer = Sealer(method, key, bytes(method.key_size), client.salt)
    sent, opened = b"", b""
    for size in sizes:
        data = bytes([size % 251]) * size
        into = memoryview(bytearray(sealer.room(size)))
        made = sealer.seal_into(memoryview(data), into, time.time())
        sent += data
        opened += client.receive(bytes(into[:made]))
    assert opened == sent
    assert not client.truncated


@pytest.mark.parametrize("name", OLD)
def test_chunks_of_the_older_methods_are_cut_alike(name):
    method, key, _ = keys(name)
    sealer = Sealer(method, key, bytes(method.key_size))
    into = memoryview(bytearray(sealer.room(MOST[1] + 1)))
    made = sealer.seal_into(memoryview(bytes(MOST[1] + 1)), into, NOW)
    assert made == method.key_size + 2 * (18 + 0x2000 + 16)
